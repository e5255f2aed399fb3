"""Features of all packages -> clusters."""

import prism.lean  # noqa: F401, I001  (before pyarrow)

from collections.abc import Sequence

from prism import clusters, tables
from prism.process import logging_to


def main(*, features: Sequence[str], count: int, design: str, seed: int, out: str) -> None:
    offered = clusters.values(tables.read(path, "features") for path in features)
    tables.write(out, "clusters", clusters.DESIGNS[design](offered, count, seed))
    print(f"{count:,} clusters with {len(offered)} features")


if __name__ == "__main__":
    with logging_to(snakemake.log[0]):
        main(
            features=snakemake.input.features,
            count=snakemake.params.clusters,
            design=snakemake.params.design,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
