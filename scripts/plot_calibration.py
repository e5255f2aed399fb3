"""Plot the predictions against what happened."""

from pathlib import Path

from prism import tables
from prism.figures.calibration import plot_calibration
from prism.figures.style import save
from prism.process import logging_to


def main(*, predictions: str | Path, metrics: str | Path, svg: str | Path, png: str | Path) -> None:
    figure = plot_calibration(
        tables.read(predictions, "predictions"), tables.read(metrics, "metrics")
    )
    save(figure, svg, png)


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            predictions=snakemake.input.predictions,
            metrics=snakemake.input.metrics,
            svg=snakemake.output.svg,
            png=snakemake.output.png,
        )
