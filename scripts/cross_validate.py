"""Predict the builds of one batch of packages out of fold."""

from collections.abc import Sequence
from pathlib import Path

from prism import measures, models, tables
from prism.process import logging_to


def main(
    *, features: Sequence[str | Path], smoothing: float, folds: int, seed: int, out: str | Path
) -> None:
    predictions = measures.merge(
        models.cross_validate(
            tables.read(path, "features"), Path(path).stem, smoothing, folds, seed
        )
        for path in features
    )
    tables.write(out, "predictions", predictions)
    print(f"predicted {predictions.num_rows} builds of {len(features)} packages")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            features=snakemake.input.features,
            smoothing=snakemake.params.smoothing,
            folds=snakemake.params.folds,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
