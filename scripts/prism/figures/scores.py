"""Score by round: the answer of a study in one figure."""

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prism.figures.curves import Curves, curves, mean, ratio
from prism.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    Label,
    apart,
    count,
    in_percent,
    label_ends,
    lay_out,
    log_axis,
    looks,
    new_figure,
    nothing,
    percent,
)

DASHES = (0, (5, 1.5))
FEW = 30  # a success of fewer placed jobs is drawn pale: one job moves it by 3 % and more


@looks()
def plot_scores(scores: pa.Table) -> Figure:
    """Score by the number of subsystems that the scheduler knows, and where it comes from.

    Above, the expected score as a line (the mean and the range, where there are several orders)
    and the drawn one as points, between no metadata and the best cluster of each job. Beneath
    it, the share of jobs placed, the success of those placed, and the matches of a job.

    Parameters
    ----------
    scores : pyarrow.Table
        The table `scores`.
    """
    all_jobs = curves(scores)
    if not all_jobs.jobs[0]:
        return nothing("No job was submitted")
    figure = new_figure(6.4, headline(all_jobs), right=0.17)
    top, middle, bottom = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [5, 3.2, 2.2]}
    )
    labels = [
        (top, _draw_score(top, all_jobs)),
        (middle, _draw_placed(middle, all_jobs)),
        (bottom, _draw_matches(bottom, all_jobs)),
    ]
    bottom.set_xlabel("subsystems that the scheduler knows (0: no metadata)")
    last = all_jobs.known[-1]
    bottom.set_xlim(-0.015 * max(last, 1), 1.015 * max(last, 1))
    bottom.xaxis.set_major_locator(
        MaxNLocator(integer=True, nbins=12, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    figure.align_ylabels()
    lay_out(figure)
    for axes, named in labels:
        label_ends(axes, named)
    return figure


def headline(all_jobs: Curves) -> str:
    """What the mean curve does, in a sentence that is true whatever it does."""
    score, placed = mean(all_jobs.score[0]), mean(all_jobs.share_placed[0])
    known = all_jobs.known
    if len(known) == 1:
        return f"Score {score[0]:.2f} without metadata; no subsystem was added"
    if np.ptp(score) < 5e-5:
        return f"Metadata changes nothing: the score stays at {score[0]:.2f}"
    peak = int(np.argmax(score))
    start, best, end = apart(score[0], score[peak], score[-1])
    mean_of = f"Mean score of {len(all_jobs.added)} orders" if len(all_jobs.added) > 1 else "Score"
    fall = f"falls to {end}" if score[peak] > score[-1] else ""
    if fall and placed[-1] < placed[peak]:
        fall += f" as the share of jobs placed falls to {percent(placed[-1])}"
    if peak == 0:
        return f"{mean_of} is best without metadata, {start}; it {fall}"
    after = f"{start} without metadata to {best} with {count(known[peak], 'subsystem')}"
    return f"{mean_of} rises from {after}" + (f", then {fall}" if fall else "")


def _draw_score(axes: Axes, all_jobs: Curves) -> list[Label]:
    known, score, drawn = all_jobs.known, all_jobs.score[0], all_jobs.drawn_score[0]
    orders, middle = len(score), mean(score)
    start, ceiling = score[0, 0], all_jobs.ceiling_score[0]
    points = np.broadcast_to(known, drawn.shape)
    axes.plot(points.ravel(), drawn.ravel(), ".", color=ORANGE, markersize=6 if orders == 1 else 5,
              markeredgewidth=0, zorder=2, label="drawn")  # fmt: skip
    if orders > 1:
        axes.fill_between(known, np.fmin.reduce(score), np.fmax.reduce(score), color=BLUE,
                          alpha=0.15, linewidth=0, label=f"range of {orders} orders")  # fmt: skip
        axes.plot(known, score.T, color=BLUE, linewidth=0.5, alpha=0.5)
    axes.plot(known, middle, color=BLUE, zorder=3,
              label="expected" if orders == 1 else "expected, mean of the orders")  # fmt: skip
    peak = np.argmax(middle)
    axes.plot(known[peak], middle[peak], "o", color=BLUE, markerfacecolor="white", zorder=4,
              label="highest mean" if orders > 1 else "highest")  # fmt: skip
    axes.axhline(start, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.axhline(ceiling, color=BLACK, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1)
    axes.set_ylabel("score: expected share of\njobs that succeed")
    _limit(axes, np.concatenate([score.ravel(), drawn.ravel(), [start, ceiling]]))
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=4, borderaxespad=0.2,
                handlelength=1.6, columnspacing=1.5)  # fmt: skip
    at_start, at_ceiling, at_end = apart(start, ceiling, middle[-1])
    labels = [
        (ceiling, f"best cluster of\neach job: {at_ceiling}", BLACK),
        (start, f"no metadata: {at_start}", GREY),
    ]
    if len(known) > 1:
        labels.append((middle[-1], f"all {count(known[-1])}: {at_end}", BLUE))
    return labels


def _limit(axes: Axes, values: np.ndarray) -> None:
    """From 0 where the values come near it, else around them."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0, 1)
    low = 0 if low < 0.4 * high or high == low else low
    room = 0.05 * (high - low) or 0.05
    axes.set_ylim(max(low - room, -0.02), high + room)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _draw_placed(axes: Axes, all_jobs: Curves) -> list[Label]:
    known, marker = all_jobs.known, "o" if len(all_jobs.known) == 1 else None
    share, success = all_jobs.share_placed[0], all_jobs.success_placed[0]
    placed = mean(share)
    # over the jobs of all orders, so that an order that places few of them counts little
    pooled = ratio(*(np.nansum(sums[0], axis=0) for sums in (all_jobs.expected, all_jobs.placed)))
    few = np.nansum(all_jobs.placed[0], axis=0) < FEW
    if len(share) > 1:
        axes.plot(known, share.T, color=VERMILLION, linewidth=0.5, alpha=0.4)
        axes.plot(known, success.T, color=GREEN, linewidth=0.5, alpha=0.4)
    axes.plot(known, placed, color=VERMILLION, marker=marker)
    axes.plot(known, pooled, color=GREEN, alpha=0.35, linestyle=DASHES, marker=marker)
    axes.plot(known, np.where(few, np.nan, pooled), color=GREEN, linestyle=DASHES, marker=marker)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(in_percent)
    axes.set_ylabel("share (%)")
    labels = [(placed[-1], f"jobs placed: {percent(placed[-1])}", VERMILLION)]
    there = pooled[np.isfinite(pooled)]
    if len(there):
        labels.append((there[-1], f"success of\nthose placed: {percent(there[-1])}", GREEN))
    return labels


def _draw_matches(axes: Axes, all_jobs: Curves) -> list[Label]:
    matches = all_jobs.matches[0] / max(all_jobs.jobs[0], 1)
    middle = mean(matches)
    axes.set_ylabel("matches\nof a job")
    if not middle.any():
        return [(0.5, "no match", PURPLE)]
    matches, middle = (np.where(m > 0, m, np.nan) for m in (matches, middle))  # no log of 0
    if len(matches) > 1:
        axes.plot(all_jobs.known, matches.T, color=PURPLE, linewidth=0.5, alpha=0.4)
    axes.plot(all_jobs.known, middle, "o-" if len(middle) == 1 else "-", color=PURPLE)
    there = middle[np.isfinite(middle)]
    log_axis(axes.yaxis, there.min(), there.max())
    end = f"{there[-1]:,.3g}" if there[-1] >= 0.001 else "<0.001"
    return [(there[-1], f"matches: {end}\n(mean, log scale)", PURPLE)]
