"""What clusters receive, and how well it goes there."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prism.figures.curves import ratio
from prism.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    VERMILLION,
    count,
    lay_out,
    looks,
    new_figure,
)

EDGES = np.linspace(0, 1, 21)  # of the bins of scores


class Received(NamedTuple):
    """What the clusters received in one round; the arrays are of shape (clusters,)."""

    title: str
    jobs: np.ndarray
    outcome: np.ndarray
    possible: np.ndarray


@looks()
def plot_clusters(scores: pa.Table, cluster_scores: pa.Table) -> Figure:
    """How jobs and scores spread over the clusters without metadata, at best and at the end.

    A row a round: left, how many clusters received how many jobs; right, how many have which
    score (sum of outcomes / jobs received), with the mean of the placed jobs and what the same
    jobs would score on their best clusters. The best round is that of the highest expected score,
    the last is the last of the same order.

    Parameters
    ----------
    scores, cluster_scores : pyarrow.Table
        The tables of these names.
    """
    rounds = [received(cluster_scores, title, name) for title, name in chosen(scores)]
    figure = new_figure(1.1 + 1.75 * len(rounds), headline(rounds))
    grid = figure.subplots(len(rounds), 2, sharex="col", squeeze=False)
    highest = max(part.jobs.max(initial=0) for part in rounds)
    for (left, right), part, colour in zip(grid, rounds, (GREEN, BLUE, VERMILLION), strict=False):
        _draw_jobs(left, part, highest, colour)
        _draw_scores(right, part, colour)
    grid[-1, 0].set_xlabel("jobs that a cluster received")
    grid[-1, 1].set_xlabel("score of a cluster: outcomes / jobs received")
    return lay_out(figure)


def chosen(scores: pa.Table) -> list[tuple[str, str]]:
    """The rounds shown: (title, id) of no metadata, of the best and of the last one.

    Where they coincide there are fewer of them.
    """
    everything = scores.filter(pc.is_null(scores["package"]))
    rows = everything.select(["round", "plan", "order", "position", "score"]).to_pylist()
    none = next(row for row in rows if row["plan"] == "none")
    added = [row for row in rows if row["plan"] == "cumulative"]
    orders = {row["order"] for row in added}
    best = max([none, *added], key=lambda row: np.nan_to_num(row["score"]))
    order = best["order"] if best in added else min(orders, default=None)
    last = max((r for r in added if r["order"] == order), key=lambda r: r["position"], default=none)
    shown: dict[str, list[str]] = {}
    for title, row in (("no metadata", none), ("best round", best), ("last round", last)):
        shown.setdefault(row["round"], []).append(title)
    of = {
        row["round"]: f": {count(row['position'], 'subsystem')}"
        + (f" of order {row['order']}" if len(orders) > 1 else "")
        for row in added
    }
    return [(" and ".join(titles) + of.get(name, ""), name) for name, titles in shown.items()]


def received(cluster_scores: pa.Table, title: str, name: str) -> Received:
    """What the clusters received in the round `name`."""
    part = cluster_scores.filter(pc.equal(cluster_scores["round"], name))
    columns = (part[column].to_numpy() for column in ("jobs", "outcome", "possible"))
    return Received(title, *columns)


def headline(rounds: list[Received]) -> str:
    """How many clusters receive jobs, in a sentence."""
    first, *others = rounds
    text = f"{count(np.sum(first.jobs > 0))} of {count(len(first.jobs), 'cluster')} receive jobs "
    text += "without metadata"
    for part in others:
        text += f", {count(np.sum(part.jobs > 0))} in the {part.title.partition(':')[0]}"
    return text


def bins(highest: int) -> tuple[np.ndarray, list[str]]:
    """Lower edges of bins of numbers of jobs that double, 0 and 1 alone, and their names."""
    edges = np.r_[0, 2 ** np.arange(max(int(highest), 1).bit_length() + 1)]
    ends = edges[1:] - 1
    names = [
        count(low) if low == high else f"{count(low)}\N{EN DASH}{count(high)}"
        for low, high in zip(edges, ends, strict=False)
    ]
    return edges, names


def _draw_jobs(axes: Axes, part: Received, highest: int, colour: str) -> None:
    edges, names = bins(highest)
    clusters = np.histogram(part.jobs, edges)[0]
    bars = axes.bar(range(len(names)), clusters, 0.85, color=colour)
    axes.bar_label(bars, [count(n) if n else "" for n in clusters], padding=1, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 7 else 0)
    axes.set_ylim(0, max(1.15 * clusters.max(), 1))
    axes.set_ylabel("clusters")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: count(value))
    axes.grid(axis="x", visible=False)
    axes.set_title(f"{part.title}\n{count(part.jobs.sum(), 'job')} placed")


def _draw_scores(axes: Axes, part: Received, colour: str) -> None:
    score = ratio(part.outcome, part.jobs)
    axes.hist(score[np.isfinite(score)], EDGES, color=colour, edgecolor="white", linewidth=0.5)
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: count(value))
    axes.set_title("no job was placed")
    if part.jobs.sum():
        mean = part.outcome.sum() / part.jobs.sum()
        possible = part.possible.sum() / part.jobs.sum()
        axes.axvline(mean, color=BLACK, linewidth=1.5)
        axes.axvline(possible, color=BLACK, linewidth=1.5, linestyle=(0, (1, 1.5)))
        axes.set_title(
            f"mean of the placed jobs {mean:.2f} (line),\n"
            f"on their best clusters {possible:.2f} (dots)"
        )
