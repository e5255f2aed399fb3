"""What rounds did with every job -> scores, overall, by package and by cluster."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from collections.abc import Sequence

from prism import scores, tables
from prism.process import logging_to


def main(
    *,
    rounds: str,
    placements: Sequence[str],
    jobs: str,
    outcomes: str,
    out: str,
    clusters_out: str,
) -> None:
    by_package, by_cluster = scores.score(
        tables.read(rounds, "rounds"),
        (tables.read(path, "round") for path in placements),
        tables.read(jobs, "jobs", ["job", "group"]),
        tables.read(outcomes, "outcomes"),
    )
    tables.write(out, "scores", by_package)
    tables.write(clusters_out, "cluster_scores", by_cluster)
    print(f"scored {len(placements):,} rounds")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            rounds=snakemake.input.rounds,
            placements=snakemake.input.placements,
            jobs=snakemake.input.jobs,
            outcomes=snakemake.input.outcomes,
            out=snakemake.output.scores,
            clusters_out=snakemake.output.cluster_scores,
        )
