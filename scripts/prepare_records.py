"""Raw records -> builds, nodes, and the records that were rejected."""

from collections import Counter
from collections.abc import Sequence

from prism import tables
from prism.process import logging_to
from prism.records import download, merge


def main(
    *,
    sources: Sequence[str],
    folders: Sequence[str],
    checksums: Sequence[str | None],
    builds: str,
    nodes: str,
    rejected: str,
) -> None:
    for path, checksum in zip(sources, checksums, strict=True):
        if checksum:
            download.check(path, checksum)
    kept, dropped, of_builds = merge.read_records(list(zip(sources, folders, strict=True)))
    tables.write(nodes, "nodes", of_builds)
    tables.write(rejected, "rejected", dropped)
    tables.write(builds, "builds", kept)
    successes = sum(kept["success"].to_pylist())
    print(f"kept {len(kept):,} builds: {successes:,} successes, {len(kept) - successes:,} failures")
    for why, count in Counter(dropped["why"].to_pylist()).most_common():
        print(f"rejected {count:,} records: {why}")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            sources=snakemake.input.sources,
            folders=snakemake.params.folders,
            checksums=snakemake.params.checksums,
            builds=snakemake.output.builds,
            nodes=snakemake.output.nodes,
            rejected=snakemake.output.rejected,
        )
