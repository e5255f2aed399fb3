"""The plan of rounds, and what rounds do."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from prism import streams, tables
from prism.scheduler.embedded import Matching, Placements, Queue


def plan(subsystems: Sequence[str], orders: int, seed: int) -> pa.Table:
    """Plan the rounds: first no metadata, then one subsystem more a round.

    Parameters
    ----------
    subsystems : sequence of str
        All subsystems that jobs require features of.
    orders : int
        How many times the subsystems are added one after another, each time in an order of its
        own, which is drawn.
    seed : int
        The study's seed.

    Returns
    -------
    pyarrow.Table
        The rounds table: `none`, which all orders share, then order after order.
    """
    rows = [("none", "none", None, 0, None, [])]
    for order in range(1, orders + 1):
        drawn = sorted(subsystems)
        streams.stream(seed, "rounds", "order", order).shuffle(drawn)
        rows += [
            (f"cumulative-{order}-{n:03d}", "cumulative", order, n, drawn[n - 1], drawn[:n])
            for n in range(1, len(drawn) + 1)
        ]
    columns = zip(*rows, strict=True)
    return tables.table("rounds", dict(zip(tables.SCHEMAS["rounds"].names, columns, strict=True)))


def run(
    queue: Queue, rounds: Iterable[tuple[str, Sequence[str]]], seed: int
) -> Iterator[tuple[str, Placements]]:
    """Run rounds; a round that adds to the one before it goes on from there.

    Parameters
    ----------
    queue : Queue
        The jobs, the clusters and the outcomes.
    rounds : iterable of (round, subsystems)
        Ids of rounds and the subsystems of each, in the order in which they were added.
    seed : int
        The study's seed.

    Yields
    ------
    round : str
    placements : Placements
        The same whatever other rounds are run before it.
    """
    keys = streams.keys(queue.jobs)
    stated: list[str] = []
    matching = Matching(queue)
    for name, subsystems in rounds:
        if list(subsystems[: len(stated)]) != stated:
            matching, stated = Matching(queue), []
        for subsystem in subsystems[len(stated) :]:
            for requirement in queue.subsystems.get(subsystem, ()):
                matching.require(requirement)
        stated = list(subsystems)
        yield name, matching.place(streams.uniform(seed, name, keys))
