"""The score of every package by round, as small multiples."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from prism.figures.curves import Curves, curves, mean
from prism.figures.style import (
    BLUE,
    GREY,
    TIED,
    VERMILLION,
    change,
    count,
    lay_out,
    looks,
    new_figure,
    nothing,
    shorten,
)

SHOWN = 49
COLUMNS = 7
WORTH = 0.005  # a gain that two decimals show


@looks()
def plot_packages(scores: pa.Table) -> Figure:
    """Score and share of jobs placed by round for each package, most gained from metadata first.

    What a package gains is its highest score minus that without metadata; with several orders,
    of the mean over them. Of many packages the `SHOWN` with the most jobs are drawn.

    Parameters
    ----------
    scores : pyarrow.Table
        The table `scores`.
    """
    every = curves(scores)
    submitted = np.flatnonzero(every.jobs[1:]) + 1
    if not len(submitted):
        return nothing("No job was submitted")
    gain, peak = gains(every)
    shown = submitted[np.argsort(-every.jobs[submitted], kind="stable")[:SHOWN]]
    shown = shown[np.argsort(-gain[shown], kind="stable")]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    height = max(1.1 * rows, 2) + 0.45
    figure = new_figure(0.9 + height, headline(every, gain, submitted, shown))
    top, body = figure.add_gridspec(2, 1, height_ratios=[0.2, height])
    _legend(figure.add_subplot(top))
    grid = body.subgridspec(rows, columns).subplots(sharex=True, sharey=True, squeeze=False)
    for axes, package in zip(grid.flat, shown, strict=False):
        _draw_package(axes, every, package, gain[package], peak[package])
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[-2][len(shown) - (rows - 1) * columns :] if rows > 1 else []:
        axes.tick_params(labelbottom=True)  # nothing stands beneath it
    figure.supxlabel(
        "subsystems that the scheduler knows (0: no metadata)\n"
        "above each panel: highest score minus that without metadata, and the number n of jobs",
        fontsize=8.5,
    )
    figure.supylabel("score, share of jobs placed", fontsize=8.5)
    return lay_out(figure)


def gains(every: Curves) -> tuple[np.ndarray, np.ndarray]:
    """What metadata buys each package at best, and at which number of subsystems.

    Returns
    -------
    gain : ndarray, shape (packages,)
        Highest mean score minus that without metadata, 0 if it never rises; first for all jobs.
    peak : ndarray of int, shape (packages,)
        Number of subsystems known there.
    """
    score = np.nan_to_num(mean(every.score, axis=1))
    return score.max(axis=1) - score[:, 0], every.known[score.argmax(axis=1)]


def headline(every: Curves, gain: np.ndarray, submitted: np.ndarray, shown: np.ndarray) -> str:
    """How many packages gain, and which most, in a sentence."""
    gaining = submitted[gain[submitted] >= WORTH]
    number = count(len(submitted), "package")
    text = f"Metadata raises the score of {len(gaining)} of {number} by {WORTH} or more"
    if len(gaining):
        most = submitted[np.argmax(gain[submitted])]
        text += f", most that of {every.packages[most]}:{TIED}{change(gain[most], 2)}"
    if len(shown) < len(submitted):
        text += f" (shown: the {len(shown)} with most jobs)"
    return text


def _draw_package(axes: Axes, every: Curves, package: int, gain: float, peak: int) -> None:
    score = mean(every.score[package])
    marker = "o" if len(score) == 1 else None
    axes.axhline(score[0], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(every.known, mean(every.share_placed[package]), color=VERMILLION, linewidth=1,
              marker=marker, markersize=3)  # fmt: skip
    axes.plot(every.known, score, color=BLUE, marker=marker, markersize=3)
    if gain >= WORTH:
        axes.plot(peak, score.max(), "o", color=BLUE, markerfacecolor="white", markersize=4)
    last = max(every.known[-1], 1)
    axes.set(xlim=(-0.04 * last, 1.04 * last), ylim=(-0.05, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.xaxis.set_major_locator(MaxNLocator(2, integer=True, steps=[1, 2, 5, 10]))
    facts = f"{change(gain, 2)} · n {count(every.jobs[package])}"
    axes.set_title(f"{shorten(every.packages[package], 15)}\n{facts}", fontsize=8, pad=3)


def _legend(axes: Axes) -> None:
    handles = [
        Line2D([], [], color=BLUE, label="score (expected)"),
        Line2D([], [], color=VERMILLION, linewidth=1, label="share of jobs placed"),
        Line2D([], [], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), label="no metadata"),
        Line2D([], [], color=BLUE, marker="o", markerfacecolor="white", markersize=4, linestyle="",
               label="highest score"),
    ]  # fmt: skip
    axes.set_axis_off()
    axes.legend(handles=handles, loc="center left", ncols=4, columnspacing=1.2,
                  handlelength=1.6)  # fmt: skip
