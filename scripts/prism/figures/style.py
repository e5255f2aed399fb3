"""What all figures share: looks, numbers in words, and saving."""

import textwrap
from collections.abc import Sequence
from contextlib import ContextDecorator
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from prism.tables import replacing

WIDTH = 7.6  # inches: a printed page without its margins

# Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE = "#CC79A7"
BLACK, GREY, PALE = "#000000", "#5F5F5F", "#D9D9D9"

TIED = "\N{NO-BREAK SPACE}"

Label = tuple[float, str, str]  # height in data units, text, colour

LOOKS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that it is always there
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "text.parse_math": False,  # a name may hold a dollar sign
    "svg.fonttype": "none",
    "svg.hashsalt": "prism",  # else the ids, and so the bytes, differ from run to run
}


def looks() -> ContextDecorator:
    """Context, or decorator, in which figures are made: the user's own settings stay outside."""
    return mpl.style.context(["default", LOOKS])


def new_figure(height: float, title: str, right: float = 0) -> Figure:
    """Figure of the width of a page, with its title at the left.

    Parameters
    ----------
    height : float
        In inches.
    title : str
    right : float, default 0
        Share of the width that is left free for `label_ends`.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1 - right, 1))
    figure.suptitle(textwrap.fill(title, 82, break_on_hyphens=False), x=0.008, ha="left")
    return figure


def lay_out(figure: Figure) -> Figure:
    """Fix where everything stands, so that the figure is the same however often it is made.

    The solver of the layout takes its constraints in an order that differs from run to run, and so
    the last digits of what it finds.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position().bounds, 6))
    return figure


def say(axes: Axes, text: str) -> None:
    """Put a sentence where nothing can be drawn."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def nothing(title: str) -> Figure:
    """Figure of a study that has nothing to draw, with the reason."""
    figure = new_figure(2, title)
    say(figure.subplots(), "nothing to draw")
    return lay_out(figure)


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Make an axis logarithmic, from below `low` to above `high`, with ticks in plain numbers."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    getattr(axis.axes, f"set_{axis.axis_name}lim")(low / 1.6, high * 1.6)
    axis.set_major_locator(LogLocator(subs=(1,) if high > 60 * low else (1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:,g}")


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Name lines at the right of the plot, at their height but never one on another.

    Parameters
    ----------
    axes : Axes
        Of a figure that is laid out.
    labels : sequence of (height in data units, text, colour)
    """
    if not labels:
        return
    tall = axes.get_position().height * axes.get_figure().get_figheight() * 72  # points
    at = (axes.transData - axes.transAxes).transform([(1, y) for y, _, _ in labels])[:, 1]
    lines = np.array([1 + text.count("\n") for _, text, _ in labels])
    at = _spread(at, lines * 10.5 / tall)
    for height, (_, text, colour) in zip(at, labels, strict=True):
        axes.annotate(
            text, (1, height), (6, 0), "axes fraction", textcoords="offset points",
            va="center", fontsize=8, color=colour, linespacing=1.1, annotation_clip=False,
        )  # fmt: skip


def _spread(centres: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Centres moved apart as little as makes intervals of these heights not overlap."""
    order = np.argsort(centres, kind="stable")
    groups: list[tuple[float, list[int]]] = []  # centre of a pile, who is in it
    for i in order:
        groups.append((centres[i], [i]))
        while len(groups) > 1:
            (low, under), (high, over) = groups[-2:]
            if high - low >= (heights[under].sum() + heights[over].sum()) / 2:
                break
            pile = under + over
            groups[-2:] = [((low * len(under) + high * len(over)) / len(pile), pile)]
    placed = np.empty(len(centres))
    for centre, pile in groups:
        tops = np.cumsum(heights[pile])
        placed[pile] = centre - tops[-1] / 2 + tops - heights[pile] / 2
    return placed


def count(number: float, noun: str = "") -> str:
    """A whole number with its noun: ``1 job``, ``14,675 jobs``."""
    text = f"{number:,.0f}"
    return f"{text} {noun}{'' if number == 1 else 's'}" if noun else text


def shorten(name: str, length: int) -> str:
    """A name cut to at most `length` characters, with an ellipsis where something is cut."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def percent(share: float) -> str:
    """A share in percent that is 0 % or 100 % only where it is exactly so."""
    if 0 < share < 0.01 or 0.99 < share < 1:
        return f"<1{TIED}%" if share < 0.5 else f">99{TIED}%"
    return f"{share * 100:.0f}{TIED}%"


def apart(*numbers: float) -> list[str]:
    """Numbers with as few decimals (2 to 4) as tell different ones apart."""
    for digits in (2, 3, 4):
        texts = [f"{number:.{digits}f}" for number in numbers]
        if len(set(texts)) == len({round(number, 9) for number in numbers}):
            break
    return texts


def in_percent(value: float, _: object = None) -> str:
    """Tick label of a share on an axis that says percent."""
    return f"{value * 100:g}"


def change(number: float, digits: int = 4) -> str:
    """A number with its sign and a true minus."""
    text = f"{number:+.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else f"{0:.{digits}f}"


def save(figure: Figure, svg: str | Path, png: str | Path) -> None:
    """Write a figure as SVG (text stays text) and as PNG (180 dots an inch).

    The same figure makes the same bytes. Each file is written whole or not at all.

    Raises
    ------
    prism.errors.InputError
        If a file can't be written.
    """
    with looks():
        with replacing(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        with replacing(png) as temporary:
            figure.savefig(temporary, format="png", dpi=180)
