"""Builds -> packages, and which of them get a model."""

from prism import features, tables
from prism.process import logging_to


def main(*, builds: str, min_builds: int, per_job: int, out: str) -> None:
    listed = features.packages(tables.read(builds, "builds"), min_builds, per_job)
    tables.write(out, "packages", listed)
    for row in listed.to_pylist():
        if row["batch"] is None:
            print(f"no model for {row['package']} ({row['builds']} builds): {row['reason']}")
    print(
        f"{listed['batch'].is_valid().to_pylist().count(True)} of {len(listed)} packages modelled"
    )


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            builds=snakemake.input.builds,
            min_builds=snakemake.params.min_builds,
            per_job=snakemake.params.per_job,
            out=snakemake.output[0],
        )
