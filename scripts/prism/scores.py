"""What rounds come to: the score of every round, and what each cluster did with its jobs."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prism import tables
from prism.errors import InputError


def score(
    rounds: pa.Table, placements: Iterable[pa.Table], jobs: pa.Table, outcomes: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Sum placements over jobs, and over clusters.

    Parameters
    ----------
    rounds : pyarrow.Table
        The rounds table.
    placements : iterable of pyarrow.Table
        The `round` table of each of them, in that order.
    jobs, outcomes : pyarrow.Table
        The tables of those names.

    Returns
    -------
    scores : pyarrow.Table
        A row for all jobs of a round (package null) and one for each package.
    cluster_scores : pyarrow.Table
        A row for every round and cluster.

    Raises
    ------
    prism.errors.InputError
        If a round holds other jobs than the jobs table, or outcomes lack a group.
    """
    names, of_row = tables.codes(jobs["job"])
    packages, package_of_row = tables.codes(jobs["group"])
    package = np.zeros(len(names), np.int64)
    package[of_row] = package_of_row
    best = (
        outcomes.unify_dictionaries()
        .group_by("group", use_threads=False)
        .aggregate([("probability", "max")])
    )
    ceilings = dict(
        zip(best["group"].to_pylist(), best["probability_max"].to_pylist(), strict=True)
    )
    for missing in sorted(set(packages) - set(ceilings)):
        raise InputError(f"outcomes: none for group {missing}")
    ceiling = np.array([ceilings[name] for name in packages])[package]
    clusters = outcomes["cluster"].unique().to_pylist()
    by_package, by_cluster = [], []
    for name, placed in zip(rounds["round"].to_pylist(), placements, strict=True):
        if not placed["job"].equals(pa.chunked_array([names])):
            raise InputError(f"round {name} has other jobs than the jobs table")
        by_package.append(_by_package(placed, package, len(packages), ceiling))
        by_cluster.append(_by_cluster(placed, clusters, ceiling))
    return _scores(rounds, packages, by_package), _cluster_scores(rounds, clusters, by_cluster)


SUMS = ("jobs", "placed", "matches", "outcome", "expected", "ceiling")


def _by_package(
    placed: pa.Table, package: np.ndarray, packages: int, ceiling: np.ndarray
) -> np.ndarray:
    """Sums of a round, `SUMS` × (all jobs, then every package)."""
    weights = (
        np.ones(len(placed)),
        placed["cluster"].is_valid().to_numpy(),
        placed["matches"].to_numpy(),
        placed["outcome"].to_numpy(),
        placed["expected"].to_numpy(),
        ceiling,
    )
    sums = np.array([np.bincount(package, weight, packages) for weight in weights])
    return np.column_stack([sums.sum(axis=1), sums])


def _by_cluster(placed: pa.Table, clusters: list[str], ceiling: np.ndarray) -> np.ndarray:
    """Sums of a round, (jobs, outcome, possible) × clusters."""
    cluster = pc.index_in(placed["cluster"].cast(pa.string()), value_set=pa.array(clusters))
    received = cluster.is_valid().to_numpy()
    cluster = cluster.drop_null().to_numpy()
    weights = (np.ones(len(placed)), placed["outcome"].to_numpy(), ceiling)
    return np.array([np.bincount(cluster, w[received], len(clusters)) for w in weights])


def _scores(rounds: pa.Table, packages: list[str], sums: list[np.ndarray]) -> pa.Table:
    values = dict(zip(SUMS, np.concatenate(sums, axis=1), strict=True))
    of_round = np.repeat(np.arange(len(rounds)), len(packages) + 1)
    columns = {name: rounds[name].take(pa.array(of_round)) for name in
               ("round", "plan", "order", "position", "added")}  # fmt: skip
    columns["package"] = tables.coded(np.tile(np.arange(-1, len(packages)), len(rounds)), packages)
    for name in SUMS:
        whole = name in ("jobs", "placed", "matches")
        columns[name] = values[name].astype(np.int64) if whole else values[name]
    columns["score"] = values["expected"] / values["jobs"]
    columns["drawn_score"] = values["outcome"] / values["jobs"]
    return tables.table("scores", columns)


def _cluster_scores(rounds: pa.Table, clusters: list[str], sums: list[np.ndarray]) -> pa.Table:
    jobs, outcome, possible = np.concatenate(sums, axis=1)
    return tables.table(
        "cluster_scores",
        {
            "round": rounds["round"].take(
                pa.array(np.repeat(np.arange(len(rounds)), len(clusters)))
            ),
            "cluster": tables.coded(np.tile(np.arange(len(clusters)), len(rounds)), clusters),
            "jobs": jobs.astype(np.int64),
            "outcome": outcome,
            "possible": possible,
        },
    )
