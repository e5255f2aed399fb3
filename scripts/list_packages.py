"""Builds -> packages, and which of them get a model."""

from prism import features, tables
from prism.process import logging_to


def main(*, builds: str, min_builds: int, out: str) -> None:
    listed = features.packages(tables.read(builds, "builds"), min_builds)
    tables.write(out, "packages", listed)
    for row in listed.to_pylist():
        if row["reason"]:
            print(f"no model for {row['package']} ({row['builds']} builds): {row['reason']}")
    print(f"{listed['reason'].null_count} of {len(listed)} packages modelled")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            builds=snakemake.input.builds,
            min_builds=snakemake.params.min_builds,
            out=snakemake.output[0],
        )
