"""Jobs, clusters, outcomes -> what a batch of rounds did with every job."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from collections.abc import Sequence
from pathlib import Path

from prism import rounds, tables
from prism.process import logging_to
from prism.scheduler import embedded


def main(
    *, plan: str, jobs: str, clusters: str, outcomes: str, batch: Sequence[str], seed: int, out: str
) -> None:
    queue = embedded.queue(
        tables.read(jobs, "jobs"),
        tables.read(clusters, "clusters"),
        tables.read(outcomes, "outcomes"),
    )
    planned = tables.read(plan, "rounds", ["round", "subsystems"]).to_pylist()
    wanted = [(row["round"], row["subsystems"]) for row in planned if row["round"] in batch]
    for name, placements in rounds.run(queue, wanted, seed):
        tables.write(Path(out, f"{name}.parquet"), "round", embedded.table(queue, placements))
        placed = (placements.cluster >= 0).sum()
        print(
            f"{name}: {placed:,} of {len(queue.jobs):,} jobs placed, "
            f"score {placements.expected.mean():.4f}"
        )


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            plan=snakemake.input.rounds,
            jobs=snakemake.input.jobs,
            clusters=snakemake.input.clusters,
            outcomes=snakemake.input.outcomes,
            batch=snakemake.params.rounds,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
