"""How far the models' probabilities can be believed."""

from itertools import cycle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prism.figures.curves import ratio
from prism.figures.style import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILLION,
    count,
    lay_out,
    log_axis,
    looks,
    new_figure,
    say,
)
from prism.measures import BINS, brier_score_loss, calibration_error, log_loss

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE)
LEAST = 0.001  # a smaller log loss is drawn here: a log scale has no place for 0
NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@looks()
def plot_calibration(predictions: pa.Table, metrics: pa.Table) -> Figure:
    """Probabilities predicted out of fold against what happened, and each package's log loss.

    Left, success by predicted probability in bins of equal width over the builds of all packages,
    with 95 % Wilson intervals, and the number of builds in each bin beneath. Right, the log loss
    of each package's model against that of the success rate alone.

    Parameters
    ----------
    predictions, metrics : pyarrow.Table
        The tables of these names.
    """
    figure = new_figure(5.4, headline(metrics))
    grid = figure.add_gridspec(2, 2, height_ratios=[3, 1], wspace=0.05)
    top = figure.add_subplot(grid[0, 0])
    bottom = figure.add_subplot(grid[1, 0], sharex=top)
    right = figure.add_subplot(grid[:, 1])
    models = sorted(set(predictions["model"].to_pylist()))
    for model, colour in zip(models, cycle(COLOURS), strict=False):
        of_model = predictions.filter(pc.equal(predictions["model"], model))
        _draw_reliability(top, bottom, of_model, model, colour)
    _finish_reliability(top, bottom, predictions.num_rows // max(len(models), 1))
    _draw_packages(right, metrics)
    return lay_out(figure)


def headline(metrics: pa.Table) -> str:
    """In how many packages the models beat the success rate alone, in a sentence."""
    loss, baseline, _ = measured(metrics)
    if not len(loss):
        return "No package has enough builds of both outcomes to measure its model"
    models = count(len(loss), "model")
    return (
        f"{count(np.sum(loss < baseline))} of {models} predict better out of fold than "
        "the success rate alone (log loss)"
    )


def measured(metrics: pa.Table) -> tuple[np.ndarray, np.ndarray, pa.Table]:
    """Log loss, its baseline and the rows, of the models that were measured."""
    there = metrics.filter(pc.is_valid(metrics["log_loss"]))
    return there["log_loss"].to_numpy(), there["baseline_log_loss"].to_numpy(), there


def wilson(successes: np.ndarray, builds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Parameters
    ----------
    successes, builds : ndarray
        The latter above 0.
    """
    share, square = successes / builds, NORMAL_95**2
    centre = (share + square / (2 * builds)) / (1 + square / builds)
    half = np.sqrt(share * (1 - share) / builds + square / (4 * builds**2))
    half *= NORMAL_95 / (1 + square / builds)
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)


def _draw_reliability(
    top: Axes, bottom: Axes, predictions: pa.Table, model: str, colour: str
) -> None:
    success = predictions["success"].to_numpy(zero_copy_only=False)
    probability, baseline = (predictions[name].to_numpy() for name in ("probability", "baseline"))
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    builds = np.bincount(bins, minlength=BINS)
    predicted = ratio(np.bincount(bins, probability, BINS), builds)
    successes = np.bincount(bins, success, BINS)
    full = builds > 0
    share = successes[full] / builds[full]
    low, high = wilson(successes[full], builds[full])
    values = [
        f"{name} {rule(success, probability):.3f} ({rule(success, baseline):.3f})"
        for name, rule in (
            ("log loss", log_loss),
            ("Brier", brier_score_loss),
            ("ECE", calibration_error),
        )
    ]
    label = f"{model.replace('_', ' ')}: {values[0]}\n{', '.join(values[1:])}"
    top.errorbar(predicted[full], share, [share - low, high - share], fmt="o-", color=colour,
                 markersize=4, elinewidth=1, capsize=2, label=label)  # fmt: skip
    bottom.stairs(builds, np.linspace(0, 1, BINS + 1), color=colour, fill=True, alpha=0.6)


def _finish_reliability(top: Axes, bottom: Axes, builds: int) -> None:
    if builds:
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="builds that succeeded (share)")
        top.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), borderaxespad=0.2, alignment="left",
                   title=f"{count(builds, 'build')} (in brackets: the success rate alone)",
                   title_fontsize=8.5)  # fmt: skip
        top.tick_params(labelbottom=False)
        bottom.set(ylabel="builds", xlabel="predicted probability of success")
        bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        bottom.yaxis.set_major_formatter(lambda value, _: count(value))
    else:
        say(top, "no prediction was measured")
        bottom.set_visible(False)


def _draw_packages(axes: Axes, metrics: pa.Table) -> None:
    loss, baseline, rows = measured(metrics)
    if not len(loss):
        say(axes, "no model was measured")
        return
    loss, baseline = np.maximum(loss, LEAST), np.maximum(baseline, LEAST)
    models = np.array(rows["model"].to_pylist())
    builds = rows["n"].to_numpy()
    area = 10 + 140 * builds / builds.max()  # square points
    for model, colour in zip(sorted(set(models)), cycle(COLOURS), strict=False):
        own = models == model
        axes.scatter(baseline[own], loss[own], area[own], color=colour, alpha=0.6,
                     edgecolor="white", linewidth=0.5)  # fmt: skip
    ends = [min(loss.min(), baseline.min()) / 10, 10 * max(loss.max(), baseline.max())]
    axes.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.text(0.02, 0.99, "model worse", transform=axes.transAxes, color=GREY, va="top")
    axes.text(0.99, 0.02, "model better", transform=axes.transAxes, color=GREY, ha="right")
    log_axis(axes.xaxis, baseline.min(), baseline.max())
    log_axis(axes.yaxis, loss.min(), loss.max())
    axes.set_xlabel("log loss of the success rate alone (nats, log scale)")
    axes.set_ylabel("log loss of the model (nats, log scale)")
    left_out = len(metrics) - len(rows)
    unmeasured = f"\n{count(left_out, 'model')} not measured" if left_out else ""
    axes.set_title(f"Each point a package, larger with more builds{unmeasured}")
