"""Generate the records of a small build space, in the raw format of published ones."""

from prism.buildspace import generate
from prism.process import logging_to


def main(*, packages: int, builds: int, seed: int, out: str) -> None:
    ledger = generate(out, packages=packages, builds=builds, seed=seed)
    print(f"{out}: {builds} builds of {packages} packages")
    for fate, count in ledger.items():
        print(f"  {count:7,} {fate}")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            packages=snakemake.params.packages,
            builds=snakemake.params.builds,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
