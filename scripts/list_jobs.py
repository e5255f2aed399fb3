"""Builds of packages that have a model -> jobs and what they require."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from collections.abc import Sequence

from prism import jobs, tables
from prism.process import logging_to


def main(
    *,
    builds: str,
    nodes: str,
    packages: str,
    clusters: str,
    properties: Sequence[str],
    variants: Sequence[str],
    out: str,
) -> None:
    of_packages = tables.read(packages, "packages")
    required = jobs.requirements(
        tables.read(builds, "builds"),
        tables.read(nodes, "nodes"),
        of_packages,
        tables.read(clusters, "clusters").column_names[1:],
        properties,
        variants,
    )
    tables.write(out, "jobs", required)
    count, stated = len(required["job"].unique()), len(required) - required["feature"].null_count
    print(f"{count:,} jobs, {stated / count:.1f} requirements each")
    left = [row for row in of_packages.to_pylist() if row["reason"]]
    if left:
        named = ", ".join(row["package"] for row in left)
        print(f"{sum(row['builds'] for row in left):,} builds not submitted, no model: {named}")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            builds=snakemake.input.builds,
            nodes=snakemake.input.nodes,
            packages=snakemake.input.packages,
            clusters=snakemake.input.clusters,
            properties=snakemake.params.properties,
            variants=snakemake.params.variants,
            out=snakemake.output[0],
        )
