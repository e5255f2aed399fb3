"""Builds, nodes -> features of one package."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from collections.abc import Sequence

from prism import features, tables
from prism.process import logging_to


def main(
    *,
    builds: str,
    nodes: str,
    package: str,
    properties: Sequence[str],
    variants: Sequence[str],
    out: str,
) -> None:
    table = features.extract(
        tables.read(builds, "builds"), tables.read(nodes, "nodes"), package, properties, variants
    )
    tables.write(out, "features", table)
    print(f"{package}: {len(table):,} builds, {len(table.column_names) - 2} features")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            builds=snakemake.input.builds,
            nodes=snakemake.input.nodes,
            package=snakemake.wildcards.package,
            properties=snakemake.params.properties,
            variants=snakemake.params.variants,
            out=snakemake.output[0],
        )
