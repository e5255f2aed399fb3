"""Predict the outcome of every group's jobs on every cluster."""

from collections.abc import Sequence
from pathlib import Path

from prism import tables
from prism.models import outcomes
from prism.process import logging_to


def main(*, models: Sequence[str | Path], clusters: str | Path, out: str | Path) -> None:
    groups = ((Path(path).stem, tables.read(path, "models")) for path in models)
    tables.write(out, "outcomes", outcomes(groups, tables.read(clusters, "clusters")))
    print(f"predicted the outcomes of {len(models)} groups")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            models=snakemake.input.models,
            clusters=snakemake.input.clusters,
            out=snakemake.output[0],
        )
