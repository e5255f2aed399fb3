"""What the engine costs: time and peak memory of rounds, and ratios within one run.

Run by `make bench`. The large population has the structure of the published one (50 packages,
2 to 30 values a feature, 8 to 9 requirements a job), 68 times the jobs and 10 times the clusters.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from prism import rounds
from prism.scheduler.embedded import Queue, Requirement

PACKAGES, SUBSYSTEMS = 50, 118


def population(jobs: int, clusters: int, seed: int = 1) -> Queue:
    """A population of jobs, clusters and outcomes, one feature a subsystem.

    Every package draws 3 to 14 features, the first of which is the package's own; each of its
    jobs has each of them with probability 0.9, and a value drawn uniformly.
    """
    draw = np.random.default_rng(seed)
    package = np.sort(draw.integers(PACKAGES, size=jobs))
    values = np.maximum(2, np.minimum(30, draw.geometric(0.12, SUBSYSTEMS)))
    needs = np.zeros((PACKAGES, SUBSYSTEMS), bool)
    for number in range(PACKAGES):
        needs[number, number] = True
        needs[number, draw.choice(SUBSYSTEMS, draw.integers(3, 15), replace=False)] = True
    subsystems = {}
    for number in range(SUBSYSTEMS):
        requiring = np.flatnonzero(needs[package, number] & (draw.random(jobs) < 0.9))
        offered = draw.permutation(np.resize(np.arange(values[number]), clusters))
        wanted = draw.integers(values[number], size=len(requiring))
        subsystems[f"s{number:03d}"] = [Requirement(requiring, wanted, offered)]
    outcomes = draw.random((PACKAGES, clusters))
    return Queue([f"j{n}" for n in range(jobs)], package, [f"c{n}" for n in range(clusters)],
                 outcomes, subsystems)  # fmt: skip


@contextmanager
def timed(what: str, times: dict[str, float]) -> Iterator[None]:
    """Keep and print how long the body takes, and the peak memory of the process so far."""
    start = time.perf_counter()
    yield
    times[what] = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:<58} {times[what]:8.2f} s   peak {peak:5.2f} GiB", flush=True)


def by_bitsets(queue: Queue, subsystems: list[str]) -> np.ndarray:
    """Matches of every job by packed bitsets: one AND for every requirement of every job."""
    jobs, clusters = len(queue.jobs), len(queue.clusters)
    matches = np.empty(jobs, np.int64)
    every = np.packbits(np.ones(clusters, bool), bitorder="little")
    width = -(-clusters // 64) * 8
    for start in range(0, jobs, 20_000):
        stop = min(start + 20_000, jobs)
        bits = np.zeros((stop - start, width), np.uint8)
        bits[:, : len(every)] = every
        words = bits.view(np.uint64)
        for required, values, offered in (r for s in subsystems for r in queue.subsystems[s]):
            low, high = np.searchsorted(required, [start, stop])
            has = np.zeros((offered.max() + 1, width), np.uint8)
            packed = np.packbits(offered == np.arange(len(has))[:, None], axis=1, bitorder="little")
            has[:, : packed.shape[1]] = packed
            words[required[low:high] - start] &= has.view(np.uint64)[values[low:high]]
        matches[start:stop] = np.bitwise_count(words).sum(axis=1)
    return matches


def study(jobs: int, clusters: int, count: int) -> None:
    """Time the rounds of one population."""
    times: dict[str, float] = {}
    size = f"{jobs:,} jobs x {clusters:,} clusters"
    queue = population(jobs, clusters)
    stated = sum(len(r.jobs) for s in queue.subsystems.values() for r in s) / jobs
    print(f"\n{size}, {stated:.1f} requirements a job")
    order = list(np.random.default_rng(2).permutation(list(queue.subsystems)))[:count]
    plan = [("none", [])] + [(str(n), order[:n]) for n in range(1, count + 1)]
    with timed(f"{count + 1} rounds, each from the one before", times):
        placed = {name: placements.cluster >= 0 for name, placements in rounds.run(queue, plan, 1)}
    with timed("the last round from scratch", times):
        ((_, last),) = rounds.run(queue, plan[-1:], 1)
    assert (placed[str(count)] == (last.cluster >= 0)).all()
    with timed("the last round by packed bitsets, matches only", times):
        matches = by_bitsets(queue, order)
    assert (matches == last.matches).all()
    _, scratch, bitsets = times.values()
    print(f"from scratch: {scratch / bitsets:.2f} times as long as bitsets, which neither draw nor "
          f"expect; {last.matches.astype(bool).mean():.1%} of the jobs placed")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="leave out the large population")
    arguments = parser.parse_args()
    print(f"python {sys.version.split()[0]}, numpy {np.__version__}")
    study(14_675, 1_000, SUBSYSTEMS)
    if not arguments.small:
        study(1_000_000, 10_000, 100)
