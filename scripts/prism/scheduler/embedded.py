"""The embedded scheduler: matches, draws and exact expectations of all jobs of a round.

Jobs of one group that have stated the same requirements share a *set*: the list of the clusters
that match. A new requirement splits a set into one smaller set for every value that its jobs
ask for, and only the lists of those are looked through. So the work is done once for all jobs that
share their requirements, and it shrinks with every requirement: sets of one group that ask for
the same features never overlap, and hold no more entries than there are clusters.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from prism import tables
from prism.errors import InputError


class Requirement(NamedTuple):
    """What jobs require of one feature.

    Attributes
    ----------
    jobs : ndarray of int64
        The jobs that require a value of the feature.
    values : ndarray of int64
        The value that each of them requires, as a code; -1 = no cluster has it.
    offered : ndarray of int64, shape (clusters,)
        The value that each cluster has, as a code.
    """

    jobs: np.ndarray
    values: np.ndarray
    offered: np.ndarray


class Queue(NamedTuple):
    """Jobs × clusters × outcomes as arrays.

    Attributes
    ----------
    jobs : list of str
    groups : ndarray of int64, shape (jobs,)
        Row of `outcomes` that holds the job's group.
    clusters : list of str
    outcomes : ndarray of float64, shape (groups, clusters)
    subsystems : dict of str to list of Requirement
    """

    jobs: list[str]
    groups: np.ndarray
    clusters: list[str]
    outcomes: np.ndarray
    subsystems: dict[str, list[Requirement]]


class Placements(NamedTuple):
    """What a round did with every job.

    Attributes
    ----------
    matches : ndarray of int64, shape (jobs,)
        Number of clusters that meet all of the job's requirements.
    cluster : ndarray of int64, shape (jobs,)
        The cluster drawn among the matches, each equally likely; -1 = unplaced.
    outcome : ndarray of float64, shape (jobs,)
        Outcome of the placement; 0 where there is none.
    expected : ndarray of float64, shape (jobs,)
        Mean outcome over the matches; 0 where there is none.
    """

    matches: np.ndarray
    cluster: np.ndarray
    outcome: np.ndarray
    expected: np.ndarray


def queue(jobs: pa.Table, clusters: pa.Table, outcomes: pa.Table) -> Queue:
    """Turn the three tables into arrays.

    Raises
    ------
    prism.errors.InputError
        If outcomes lack a cluster or a group of jobs, if clusters lack a feature that jobs
        require, or if a job contradicts itself.
    """
    job, job_of_row = tables.codes(jobs["job"])
    groups, group_of_row = tables.codes(jobs["group"])
    group = np.zeros(len(job), np.int64)
    group[job_of_row] = group_of_row
    for row in np.flatnonzero(group[job_of_row] != group_of_row)[:1]:
        raise InputError(f"jobs: job {job[job_of_row[row]]} stands in two groups")
    names = clusters["cluster"].to_pylist()
    subsystem, of_row = tables.codes(jobs["subsystem"])
    feature, feature_of_row = tables.codes(jobs["feature"])
    value, value_of_row = tables.codes(jobs["value"])
    for row in np.flatnonzero((feature_of_row >= 0) & (value_of_row < 0))[:1]:
        raise InputError(f"jobs: {job[job_of_row[row]]} requires no value of a feature")
    requirements: dict[str, list[Requirement]] = {}
    order = np.argsort(feature_of_row, kind="stable")
    bounds = np.searchsorted(feature_of_row[order], np.arange(len(feature) + 1))
    for number in sorted(range(len(feature)), key=feature.__getitem__):
        rows = order[bounds[number] : bounds[number + 1]]
        stated = np.sort(job_of_row[rows])
        for twice in stated[1:][np.diff(stated) == 0][:1]:
            raise InputError(f"jobs: {job[twice]} requires {feature[number]} twice")
        if feature[number] not in clusters.column_names:
            raise InputError(f"jobs require {feature[number]}, a feature that no cluster carries")
        offered, code = tables.codes(clusters[feature[number]])
        place = {text: i for i, text in enumerate(offered)}
        recode = np.array([place.get(text, -1) for text in value])
        requirements.setdefault(subsystem[of_row[rows[0]]], []).append(
            Requirement(job_of_row[rows], recode[value_of_row[rows]], code)
        )
    return Queue(job, group, names, _matrix(outcomes, groups, names), requirements)


def _matrix(outcomes: pa.Table, groups: list[str], clusters: list[str]) -> np.ndarray:
    """Outcomes as a matrix, groups × clusters."""
    rows, row = tables.codes(outcomes["group"])
    columns, column = tables.codes(outcomes["cluster"])
    matrix = np.full((len(rows), len(columns)), np.nan)
    matrix[row, column] = outcomes["probability"].to_numpy()
    try:
        matrix = matrix[np.ix_(list(map(rows.index, groups)), list(map(columns.index, clusters)))]
    except ValueError as error:
        raise InputError(f"outcomes: {error}: expected every group and cluster") from None
    if np.isnan(matrix).any():
        at = np.argwhere(np.isnan(matrix))[0]
        raise InputError(f"outcomes: none for {groups[at[0]]} on {clusters[at[1]]}")
    return matrix


class Matching:
    """The clusters that meet all that jobs have required so far.

    Attributes
    ----------
    set_of_job : ndarray of int64, shape (jobs,)
    group : ndarray of int64, shape (sets,)
        Group of the jobs of each set.
    start, count : ndarray of int64, shape (sets,)
        Where the clusters of each set stand in `members`, and how many there are.
    members : ndarray of int32
        Clusters, ascending within a set.
    mean : ndarray of float64, shape (sets,)
        Mean outcome over the clusters of each set; nan = not needed so far.
    """

    def __init__(self, queue: Queue) -> None:
        clusters = len(queue.clusters)
        self.outcomes = queue.outcomes
        self.group, self.set_of_job = np.unique(queue.groups, return_inverse=True)
        self.start = np.arange(len(self.group)) * clusters
        self.count = np.full(len(self.group), clusters)
        self.members = np.tile(np.arange(clusters, dtype=np.int32), len(self.group))
        self.mean = np.full(len(self.group), np.nan)
        self._room = 2 * len(self.members) + 10**6

    def require(self, requirement: Requirement) -> None:
        """Let jobs require a value of one feature more."""
        jobs, values, offered = requirement
        open_ = self.count[self.set_of_job[jobs]] > 0
        jobs, values = jobs[open_], values[open_]
        if not len(jobs):
            return
        width = values.max() + 2
        key, new = np.unique(self.set_of_job[jobs] * width + values + 1, return_inverse=True)
        parent, value = key // width, key % width - 1
        of_set, members = self._entries(parent)
        meets = (offered[members] == value[of_set]) & (value[of_set] >= 0)
        count = np.bincount(of_set[meets], minlength=len(key))
        self.set_of_job[jobs] = len(self.count) + new
        self.start = np.append(self.start, len(self.members) + np.cumsum(count) - count)
        self.count = np.append(self.count, count)
        self.group = np.append(self.group, self.group[parent])
        self.mean = np.append(self.mean, np.full(len(key), np.nan))
        self.members = np.append(self.members, members[meets])
        if len(self.members) > self._room:
            self._forget()

    def _entries(self, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The clusters of these sets one after another, and which of the sets each belongs to."""
        count = self.count[sets]
        ends = np.cumsum(count)
        of_set = np.repeat(np.arange(len(sets)), count)
        return of_set, self.members[
            np.arange(len(of_set)) + (self.start[sets] - ends + count)[of_set]
        ]

    def _forget(self) -> None:
        """Drop the sets that no job has any more."""
        used, self.set_of_job = np.unique(self.set_of_job, return_inverse=True)
        _, self.members = self._entries(used)
        self.count, self.group, self.mean = self.count[used], self.group[used], self.mean[used]
        self.start = np.cumsum(self.count) - self.count
        self._room = 2 * len(self.members) + 10**6

    def _expect(self) -> None:
        """Mean outcome over the clusters of each set that has jobs and no mean yet.

        `bincount` adds in the order of the clusters, so that a mean has the same bits however the
        set came about.
        """
        used = np.bincount(self.set_of_job, minlength=len(self.mean)) > 0
        sets = np.flatnonzero(used & np.isnan(self.mean))
        of_set, members = self._entries(sets)
        outcomes = self.outcomes[self.group[sets][of_set], members]
        sums = np.bincount(of_set, outcomes, minlength=len(sets))
        self.mean[sets] = sums / np.maximum(self.count[sets], 1)

    def place(self, uniform: np.ndarray) -> Placements:
        """Draw a placement for every job.

        Parameters
        ----------
        uniform : ndarray of float64, shape (jobs,)
            A number in [0, 1) for every job.
        """
        self._expect()
        of_job = self.set_of_job
        matches = self.count[of_job]
        placed = np.flatnonzero(matches)
        drawn = (uniform[placed] * matches[placed]).astype(np.int64)
        cluster = np.full(len(of_job), -1)
        cluster[placed] = self.members[self.start[of_job[placed]] + drawn]
        outcome = np.zeros(len(of_job))
        outcome[placed] = self.outcomes[self.group[of_job[placed]], cluster[placed]]
        return Placements(matches, cluster, outcome, self.mean[of_job])


def table(queue: Queue, placements: Placements) -> pa.Table:
    """The `round` table of these placements."""
    return tables.table(
        "round",
        {
            "job": queue.jobs,
            "matches": placements.matches.astype(np.int32),
            "cluster": tables.coded(placements.cluster, queue.clusters),
            "outcome": placements.outcome,
            "expected": placements.expected,
        },
    )
