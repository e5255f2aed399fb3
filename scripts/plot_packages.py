"""Plot the score by round of every package."""

from pathlib import Path

from prism import tables
from prism.figures.packages import plot_packages
from prism.figures.style import save
from prism.process import logging_to


def main(*, scores: str | Path, svg: str | Path, png: str | Path) -> None:
    figure = plot_packages(tables.read(scores, "scores"))
    save(figure, svg, png)


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            scores=snakemake.input.scores,
            svg=snakemake.output.svg,
            png=snakemake.output.png,
        )
