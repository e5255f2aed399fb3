"""Plot the score by round."""

from pathlib import Path

from prism import tables
from prism.figures.scores import plot_scores
from prism.figures.style import save
from prism.process import logging_to


def main(*, scores: str | Path, svg: str | Path, png: str | Path) -> None:
    figure = plot_scores(tables.read(scores, "scores"))
    save(figure, svg, png)


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            scores=snakemake.input.scores,
            svg=snakemake.output.svg,
            png=snakemake.output.png,
        )
