"""Plot what the clusters received and how well it went there."""

from pathlib import Path

from prism import tables
from prism.figures.clusters import plot_clusters
from prism.figures.style import save
from prism.process import logging_to


def main(
    *, scores: str | Path, cluster_scores: str | Path, svg: str | Path, png: str | Path
) -> None:
    figure = plot_clusters(
        tables.read(scores, "scores"), tables.read(cluster_scores, "cluster_scores")
    )
    save(figure, svg, png)


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            scores=snakemake.input.scores,
            cluster_scores=snakemake.input.cluster_scores,
            svg=snakemake.output.svg,
            png=snakemake.output.png,
        )
