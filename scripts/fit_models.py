"""Fit the models of one batch of packages."""

from collections.abc import Sequence
from pathlib import Path

from prism import models, tables
from prism.process import logging_to


def main(*, features: Sequence[str | Path], smoothing: float, out: str | Path) -> None:
    for path in map(Path, features):
        model = models.fit(tables.read(path, "features"), smoothing)
        model = model.replace_schema_metadata({**model.schema.metadata, "package": path.stem})
        tables.write(Path(out) / path.name, "models", model)
    print(f"fitted {len(features)} models")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            features=snakemake.input.features,
            smoothing=snakemake.params.smoothing,
            out=snakemake.output[0],
        )
