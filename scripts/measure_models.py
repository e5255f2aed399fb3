"""Join the predictions of all batches and measure every package's model by them."""

from collections.abc import Sequence
from pathlib import Path

from prism import measures, tables
from prism.process import logging_to


def main(
    *,
    predictions: Sequence[str | Path],
    packages: str | Path,
    predictions_out: str | Path,
    metrics_out: str | Path,
) -> None:
    joined = measures.merge(tables.read(path, "predictions") for path in predictions)
    metrics = measures.measure(joined, tables.read(packages, "packages"))
    tables.write(predictions_out, "predictions", joined)
    tables.write(metrics_out, "metrics", metrics)
    print(measures.summary(metrics))


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            predictions=snakemake.input.predictions,
            packages=snakemake.input.packages,
            predictions_out=snakemake.output.predictions,
            metrics_out=snakemake.output.metrics,
        )
