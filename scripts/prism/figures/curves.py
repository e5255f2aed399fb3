"""The scores table as arrays: packages × orders × rounds."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SUMS = ("placed", "matches", "outcome", "expected", "ceiling")


class Curves(NamedTuple):
    """Sums over jobs along the orders.

    Attributes
    ----------
    packages : list of str
        First all jobs, under the name "", then the packages.
    known : ndarray of int, shape (rounds,)
        Number of subsystems that the scheduler knows; the first is 0, no metadata.
    added : list of list of str
        The subsystem that each round after the first added, for every order.
    jobs : ndarray, shape (packages,)
    placed, matches, outcome, expected, ceiling : ndarray, shape (packages, orders, rounds)
        NaN where an order has no such round.
    """

    packages: list[str]
    known: np.ndarray
    added: list[list[str]]
    jobs: np.ndarray
    placed: np.ndarray
    matches: np.ndarray
    outcome: np.ndarray
    expected: np.ndarray
    ceiling: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """Expected share of the jobs that succeed; shape (packages, orders, rounds)."""
        return ratio(self.expected, self.jobs[:, None, None])

    @property
    def drawn_score(self) -> np.ndarray:
        """The same of the placements drawn."""
        return ratio(self.outcome, self.jobs[:, None, None])

    @property
    def share_placed(self) -> np.ndarray:
        """Share of the jobs that are placed."""
        return ratio(self.placed, self.jobs[:, None, None])

    @property
    def success_placed(self) -> np.ndarray:
        """Expected share of the placed jobs that succeed; NaN where none is placed."""
        return ratio(self.expected, self.placed)

    @property
    def ceiling_score(self) -> np.ndarray:
        """Score with each job on its best cluster; shape (packages,)."""
        return ratio(self.ceiling[:, 0, 0], self.jobs)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above` / `below`, NaN where `below` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of the numbers that are there, NaN where there is none."""
    there = np.isfinite(values)
    return ratio(np.where(there, values, 0).sum(axis), there.sum(axis))


def curves(scores: pa.Table) -> Curves:
    """Follow every order from no metadata on, over all jobs and for every package.

    Rounds of other plans than ``none`` and ``cumulative`` are left out. The round without
    metadata is the first of every order.

    Parameters
    ----------
    scores : pyarrow.Table
        The table `scores`.
    """
    scores = scores.filter(pc.is_in(scores["plan"], pa.array(["none", "cumulative"])))
    first = np.array(scores["plan"].to_pylist()) == "none"
    names, added_by = scores["package"].to_pylist(), scores["added"].to_pylist()
    position = np.where(first, 0, scores["position"].fill_null(0).to_numpy())
    order = scores["order"].fill_null(0).to_numpy()

    packages = ["", *sorted(set(names) - {None})]
    code = {package: i for i, package in enumerate(packages)} | {None: 0}
    package = np.array([code[name] for name in names], int)
    orders, along = np.unique(order[~first], return_inverse=True)
    known = np.union1d(position, [0])
    at = np.searchsorted(known, position)

    jobs = np.zeros(len(packages))
    jobs[package] = scores["jobs"].to_numpy()
    sums = {}
    for name in SUMS:
        numbers = scores[name].to_numpy()
        cube = np.full((len(packages), max(len(orders), 1), len(known)), np.nan)
        cube[package[first], :, 0] = numbers[first, None]  # shared by all orders
        cube[package[~first], along, at[~first]] = numbers[~first]
        sums[name] = cube
    added = [[""] * (len(known) - 1) for _ in orders]
    for row, i in zip(along, np.flatnonzero(~first), strict=True):
        added[row][at[i] - 1] = added_by[i]
    return Curves(packages, known, added, jobs, **sums)
