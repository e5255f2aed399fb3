"""Jobs -> the plan of rounds."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from prism import rounds, tables
from prism.process import logging_to


def main(*, jobs: str, orders: int, seed: int, out: str) -> None:
    subsystems = tables.read(jobs, "jobs", ["subsystem"])["subsystem"].unique().drop_null()
    plan = rounds.plan(subsystems.to_pylist(), orders, seed)
    tables.write(out, "rounds", plan)
    print(f"{len(plan):,} rounds: none, then {len(subsystems)} subsystems in {orders} orders")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            jobs=snakemake.input.jobs,
            orders=snakemake.params.orders,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
