"""What each added subsystem changed."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prism.figures.curves import Curves, curves, mean, ratio
from prism.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    change,
    count,
    lay_out,
    looks,
    new_figure,
    nothing,
    shorten,
)

SHOWN = 25  # as many rows as a page shows legibly
RAISING = 5
LEAST = 0.0001  # smaller changes count as none


class Changes(NamedTuple):
    """What each subsystem changed where it was added; all arrays (subsystems, orders)."""

    subsystems: list[str]
    total: np.ndarray  # change of the score
    unplaced: np.ndarray  # the part from jobs that lost their last cluster
    lost: np.ndarray  # share of all jobs that lost their last cluster


@looks()
def plot_subsystems(scores: pa.Table) -> Figure:
    """Change of the score against the round before, for each subsystem that was added.

    The bars split the change: what the jobs that lost their last cluster scored before (a job
    counts the mean of the placed jobs of its package in the round before), and the rest, the
    better or worse choice that the other jobs have. With several orders the bars are means and
    the points the orders. Of many subsystems `SHOWN` are drawn, see `choose`.

    Parameters
    ----------
    scores : pyarrow.Table
        The table `scores`.
    """
    every = curves(scores)
    changes = measure(every)
    number, orders = changes.total.shape
    if not number:
        return nothing("No subsystem was added: there is only the round without metadata")
    total = mean(changes.total, axis=1)
    shown = choose(total)
    others = np.setdiff1d(np.arange(number), shown)
    rows = len(shown) + bool(len(others))
    figure = new_figure(1.75 + 0.2 * rows, headline(changes))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 1]})
    _draw_changes(left, changes, shown)
    _draw_lost(right, changes, shown)
    names = _row_names(every, changes, shown)
    if len(others):
        _draw_others(left, right, changes, others, len(shown))
        ends = (change(end) for end in (total[others].min(), total[others].max()))
        names.append(f"{count(len(others), 'other')}: {' to '.join(ends)}")
    left.set_yticks(range(rows), names)
    left.set_ylim(rows - 0.4, -0.6)
    left.set_xlabel(
        "change of the score against the round before"
        + (f",\nmean of {orders} orders" if orders > 1 else "\n(number): round that added it")
    )
    right.set_xlabel("jobs that lost their\nlast cluster (% of all)")
    return lay_out(figure)


def choose(total: np.ndarray) -> np.ndarray:
    """Which subsystems are drawn, from the one that raised the score most downwards.

    Those with the largest change, but always the `RAISING` that raised the score most: what helps
    is small beside what leaves jobs without a cluster, and is what one looks for.
    """
    raising = np.argsort(-total, kind="stable")[:RAISING]
    raising = raising[total[raising] >= LEAST]
    largest = np.argsort(-np.abs(total), kind="stable")
    rest = largest[~np.isin(largest, raising)][: SHOWN - len(raising)]
    shown = np.r_[raising, rest]
    return shown[np.argsort(-total[shown], kind="stable")]


def measure(every: Curves) -> Changes:
    """Change of the score with every subsystem, and the parts of it.

    Parameters
    ----------
    every : Curves
        Of all jobs and of the packages.
    """
    score, share = every.score[0], every.share_placed[0]
    # a job that loses its last cluster takes the mean of its package's placed jobs with it
    worth = np.nan_to_num(every.success_placed[1:, :, :-1])
    gone = np.diff(every.placed[1:], axis=2) * worth
    parts = (
        np.diff(score, axis=1),
        ratio(gone.sum(axis=0), every.jobs[0]),
        -np.diff(share, axis=1),
    )
    subsystems = sorted({name for order in every.added for name in order if name})
    row = {name: i for i, name in enumerate(subsystems)}
    tables = np.full((3, len(subsystems), max(len(every.added), 1)), np.nan)
    for order, names in enumerate(every.added):
        for position, name in enumerate(names):
            if name:
                tables[:, row[name], order] = [part[order, position] for part in parts]
    return Changes(subsystems, *tables)


def headline(changes: Changes) -> str:
    """How many subsystems raise and lower the score, in a sentence."""
    total, lost = mean(changes.total, axis=1), mean(changes.lost, axis=1)
    up, down = np.sum(total >= LEAST), np.sum(total <= -LEAST)
    text = f"Of {count(len(total), 'subsystem')}, {up} raised the score by {LEAST} or more"
    if up:
        text += f" (most: {changes.subsystems[int(np.argmax(total))]}, {change(total.max())})"
    return f"{text}, {down} lowered it by as much; {np.sum(lost > 0)} left jobs without a cluster"


def _row_names(every: Curves, changes: Changes, shown: np.ndarray) -> list[str]:
    """Names of subsystems; of a single order, each with its place in it, which matters much."""
    names = [shorten(changes.subsystems[i], 24) for i in shown]
    if len(every.added) > 1:
        return names
    places = [every.known[1 + every.added[0].index(changes.subsystems[i])] for i in shown]
    return [f"{name} ({place})" for name, place in zip(names, places, strict=True)]


def _draw_changes(axes: Axes, changes: Changes, shown: np.ndarray) -> None:
    at = np.arange(len(shown))
    total = changes.total[shown]
    unplaced = mean(changes.unplaced[shown], axis=1)
    rest = mean(total, axis=1) - unplaced
    opposed = np.sign(unplaced) * np.sign(rest) < 0
    axes.barh(at, unplaced, 0.7, color=VERMILLION, label="jobs that lost their last cluster")
    axes.barh(at, rest, 0.7, np.where(opposed, 0, unplaced), color=BLUE,
              label="choice of the other jobs")  # fmt: skip
    if total.shape[1] > 1:
        axes.plot(total.ravel(), at.repeat(total.shape[1]), "o", color=BLACK, markersize=2,
                  alpha=0.5, markeredgewidth=0, label="each order")  # fmt: skip
    axes.plot(mean(total, axis=1), at, "D", color="white", markeredgecolor=BLACK, markersize=4,
              label="change of the score")  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=2, borderaxespad=0.2,
                handlelength=1.4, columnspacing=1.5)  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(at, [change(value) for value in mean(total, axis=1)])
    numbers.tick_params(length=0)
    numbers.spines[:].set_visible(False)


def _draw_lost(axes: Axes, changes: Changes, shown: np.ndarray) -> None:
    at = np.arange(len(shown))
    lost = 100 * changes.lost[shown]
    axes.barh(at, mean(lost, axis=1), 0.7, color=VERMILLION, alpha=0.55)
    if lost.shape[1] > 1:
        axes.plot(lost.ravel(), at.repeat(lost.shape[1]), "o", color=BLACK, markersize=2,
                  alpha=0.5, markeredgewidth=0)  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(1.05 * lost.max(initial=0), 0.1))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _draw_others(left: Axes, right: Axes, changes: Changes, others: np.ndarray, row: int) -> None:
    for axes, values in ((left, changes.total), (right, 100 * changes.lost)):
        drawn = mean(values[others], axis=1)
        axes.plot([drawn.min(), drawn.max()], [row, row], "|-", color=GREY, linewidth=3)
        axes.axhspan(row - 0.5, row + 0.5, color=PALE, alpha=0.4, zorder=0, linewidth=0)
