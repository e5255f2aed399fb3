import importlib
import warnings
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined
from matplotlib.text import Text
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss

from figure_studies import INPUTS, NAMES, STUDIES, along, draw, drawn, lines, rows_of, title
from prism import tables
from prism.config import complete
from prism.errors import InputError
from prism.figures import calibration, clusters, packages, scores, style, subsystems
from prism.figures.curves import Curves, curves

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"


def ticks(axes):
    """Boxes of the labels of ticks along x, from left to right."""
    low, high = axes.get_xlim()
    labels = [text for text in axes.get_xticklabels() if text.get_visible() and text.get_text()]
    return [text.get_window_extent() for text in labels if low <= text.get_position()[0] <= high]


def texts(figure):
    """What is written, without the labels of ticks, of which some stand outside the limits."""
    of_ticks = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in axis.get_ticklabels(which="both")
    }
    hidden = {text for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in of_ticks | hidden
    ]


EDGES = {  # the studies that a figure may stumble over
    "scores": ("one order", "one round", "none placed", "all placed", "falls to nothing"),
    "subsystems": ("one order", "one round", "none placed", "all placed", "much"),
    "packages": ("one round", "one package", "none placed", "much"),
    "clusters": ("one round", "none placed", "all placed", "few clusters"),
    "calibration": ("one package", "no predictions"),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in NAMES for kind in ("usual", *EDGES[name])]
)
def test_every_figure_is_legible_whatever_the_study(name, kind):
    figure = drawn(name, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    page = figure.bbox
    assert 7 <= figure.get_figwidth() <= 8
    assert title(figure)
    assert all(text.get_fontsize() >= 8 for text in figure.findobj(Text))
    for text, box in boxes:
        assert box.x0 > -1 and box.y0 > -1, text
        assert box.x1 < page.x1 + 1 and box.y1 < page.y1 + 1, text
    for axes in figure.axes:
        along_x = ticks(axes) if axes.get_visible() and axes.axison else []
        assert all(a.x1 < b.x0 for a, b in pairwise(along_x)), axes
    for (one, a), (other, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide < 1 or high < 1, f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("name", NAMES)
def test_files_are_the_same_bytes_whatever_was_drawn_before_and_however_the_user_draws(
    name, tmp_path
):
    def saved(folder):
        figure = draw(name, STUDIES["usual"])
        style.save(figure, tmp_path / folder / "a.svg", tmp_path / folder / "a.png")
        return [(tmp_path / folder / f"a.{kind}").read_bytes() for kind in ("svg", "png")]

    first = saved("first")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30}):
        assert saved("second") == first
    written = {e.text for e in ElementTree.fromstring(first[0]).iter(f"{SVG}text")}
    assert set(drawn(name, "usual").get_suptitle().split("\n")) <= written
    assert b"<dc:date>" not in first[0]
    assert first[1].startswith(b"\x89PNG")
    assert len(list((tmp_path / "first").iterdir())) == 2  # nothing temporary is left


def test_a_file_that_can_not_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        style.save(drawn("scores", "usual"), tmp_path / "file/a.svg", tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["usual", "one order", "falls to nothing", "one round"])
def test_scores_are_those_of_the_table(kind):
    data = STUDIES[kind]
    figure = drawn("scores", kind)
    top, middle, bottom = figure.axes
    orders = sorted({row["order"] for row in rows_of(data, plan="cumulative")}) or [1]
    ways = [along(data, order) for order in orders]
    jobs = ways[0][0]["jobs"]
    score = [[row["expected"] / jobs for row in way] for way in ways]
    mean = [sum(values) / len(orders) for values in zip(*score, strict=True)]
    points = [row["outcome"] / jobs for way in ways for row in way]
    blue = [line for line in lines(top, style.BLUE) if len(line) == len(mean)]
    assert any(np.allclose(line, mean, atol=1e-14) for line in blue)
    if len(orders) > 1:
        for way in score:
            assert any(np.allclose(line, way, atol=1e-14) for line in blue)
        band = top.collections[0].get_paths()[0].vertices[:, 1]
        assert np.isclose(band.max(), max(map(max, score)))
        assert np.isclose(band.min(), min(map(min, score)))
    np.testing.assert_allclose(lines(top, style.ORANGE)[0], points, atol=1e-14)
    assert lines(top, style.GREY)[0] == pytest.approx([mean[0]] * 2)
    assert lines(top, style.BLACK)[0] == pytest.approx([ways[0][0]["ceiling"] / jobs] * 2)
    placed = np.mean([[row["placed"] / jobs for row in way] for way in ways], axis=0)
    np.testing.assert_allclose(lines(middle, style.VERMILLION)[-1], placed)
    sums = [
        (sum(r["expected"] for r in at), sum(r["placed"] for r in at))
        for at in zip(*ways, strict=True)
    ]
    success = [expected / n if n else np.nan for expected, n in sums]
    strong = [s if n >= scores.FEW else np.nan for s, (_, n) in zip(success, sums, strict=True)]
    np.testing.assert_allclose(lines(middle, style.GREEN)[-2], success)
    np.testing.assert_allclose(lines(middle, style.GREEN)[-1], strong)
    matches = np.mean([[row["matches"] / jobs for row in way] for way in ways], axis=0)
    np.testing.assert_allclose(
        lines(bottom, style.PURPLE)[-1], np.where(matches > 0, matches, np.nan)
    )


def test_rounds_of_other_plans_are_left_out():
    data = STUDIES["one order"]
    extra = [row | {"plan": "single", "round": f"single-{i}", "expected": 1e6, "added": "x"}
             for i, row in enumerate(rows_of(data, plan="cumulative"))]  # fmt: skip
    rows = data["rows"] + extra
    columns = {k: [row[k] for row in rows] for k in tables.SCHEMAS["scores"].names}
    more = curves(tables.table("scores", columns))
    for one, other in zip(more, curves(data["scores"]), strict=True):
        np.testing.assert_array_equal(one, other)


def told(score, placed, orders=1):
    """The headline for a mean score and share placed of 1,000 jobs by round."""
    cube = [np.array([[values] * orders]) * 1000.0 for values in (placed, score)]
    known = np.arange(len(score))
    added = [[f"s{i}" for i in known[1:]]] * orders
    jobs, full = np.array([1000.0]), np.full(cube[0].shape, 1000.0)
    return scores.headline(Curves([""], known, added, jobs, cube[0], full, cube[1], cube[1], full))


@pytest.mark.parametrize(
    ("score", "placed", "expected"),
    [
        ([0.7], [1], "Score 0.70 without metadata; no subsystem was added"),
        ([0.7, 0.7], [1, 1], "Metadata changes nothing: the score stays at 0.70"),
        ([0.7, 0.8], [1, 1], "Score rises from 0.70 without metadata to 0.80 with 1 subsystem"),
        ([0.7, 0.701, 0], [1, 1, 0],
         "Score rises from 0.700 without metadata to 0.701 with 1 subsystem, then falls to 0.000 "
         "as the share of jobs placed falls to 0 %"),
        ([0.7, 0.8, 0.75], [1, 1, 1],
         "Score rises from 0.70 without metadata to 0.80 with 1 subsystem, then falls to 0.75"),
        ([0.7, 0.6, 0.01], [1, 0.9, 0.005],
         "Score is best without metadata, 0.70; it falls to 0.01 as the share of jobs placed "
         "falls to <1 %"),
    ],
)  # fmt: skip
def test_headline_says_what_the_curve_does(score, placed, expected):
    expected = expected.replace(" %", f"{style.TIED}%")
    assert told(score, placed) == expected
    assert told(score, placed, orders=3) == expected.replace(
        "Score", "Mean score of 3 orders" if len(score) > 1 else "Score"
    )


@pytest.mark.parametrize("kind", ["usual", "one order", "much", "falls to nothing"])
def test_changes_are_differences_of_rounds(kind):
    data = STUDIES[kind]
    orders = sorted({row["order"] for row in rows_of(data, plan="cumulative")})
    names = sorted({row["package"] for row in data["rows"] if row["package"]})
    total, unplaced = {}, {}
    for order in orders:
        ways = {name: along(data, order, name) for name in [None, *names]}
        for i, (before, after) in enumerate(zip(ways[None], ways[None][1:], strict=False)):
            added, jobs = after["added"], after["jobs"]
            total.setdefault(added, []).append(after["score"] - before["score"])
            gone = sum(
                (way[i + 1]["placed"] - way[i]["placed"]) * way[i]["expected"] / way[i]["placed"]
                for name, way in ways.items()
                if name and way[i]["placed"]
            )
            unplaced.setdefault(added, []).append(gone / jobs)
    changes = subsystems.measure(curves(data["scores"]))
    assert changes.subsystems == sorted(total)
    np.testing.assert_allclose(changes.total, [total[s] for s in sorted(total)], atol=1e-13)
    np.testing.assert_allclose(changes.unplaced, [unplaced[s] for s in sorted(total)], atol=1e-13)
    left, right = drawn("subsystems", kind).axes[:2]
    shown = [label.get_text().partition(" ")[0] for label in left.get_yticklabels()]
    others = len(total) - subsystems.SHOWN
    if others > 0:
        assert left.get_yticklabels()[-1].get_text().startswith(f"{others} others: ")
        shown = shown[:-1]
    diamonds = next(line for line in left.lines if line.get_marker() == "D")
    means = {name: np.mean(values) for name, values in total.items()}
    np.testing.assert_allclose(diamonds.get_xdata(), [means[name] for name in shown], atol=1e-13)
    assert list(diamonds.get_xdata()) == sorted(diamonds.get_xdata(), reverse=True)
    bars, rest = left.containers[:2]
    np.testing.assert_allclose(
        [bar.get_width() for bar in bars], [np.mean(unplaced[name]) for name in shown], atol=1e-13
    )
    np.testing.assert_allclose(
        [a.get_width() + b.get_width() for a, b in zip(bars, rest, strict=True)],
        [means[name] for name in shown], atol=1e-13,
    )  # fmt: skip
    assert all(bar.get_width() >= 0 for bar in right.containers[0])


def test_rows_are_kept_for_what_raised_the_score():
    total = np.r_[np.linspace(-1, -0.5, 100), 0.001, 0.002, 0.00001]
    shown = subsystems.choose(total)
    assert list(shown[:2]) == [101, 100]
    assert len(shown) == subsystems.SHOWN
    assert set(shown[2:]) == set(range(subsystems.SHOWN - 2))


@pytest.mark.parametrize("kind", ["usual", "much", "one package"])
def test_packages_stand_in_the_order_of_their_gain(kind):
    data = STUDIES[kind]
    orders = sorted({row["order"] for row in rows_of(data, plan="cumulative")})
    found = {}
    for name in {row["package"] for row in data["rows"] if row["package"]}:
        ways = [[row["score"] for row in along(data, order, name)] for order in orders]
        found[name] = np.mean(ways, axis=0), along(data, 1, name)[0]["jobs"]
    figure = drawn("packages", kind)
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
    names = [axes.get_title("left").partition("\n")[0] for axes in panels]
    largest = sorted(found, key=lambda name: -found[name][1])[: packages.SHOWN]
    assert len(names) == len(set(names)) == len(largest)
    assert sum(found[name][1] for name in names) == sum(found[name][1] for name in largest)
    gains = [found[name][0].max() - found[name][0][0] for name in names]
    assert gains == sorted(gains, reverse=True)
    for name, axes in zip(names, panels, strict=True):
        np.testing.assert_allclose(lines(axes, style.BLUE)[0], found[name][0])
        assert axes.get_title("left").endswith(f"n {found[name][1]}")
    assert ("shown: the 49 with most jobs" in title(figure)) == (len(found) > packages.SHOWN)


@pytest.mark.parametrize("kind", ["usual", "one order", "all placed", "one round"])
def test_clusters_are_counted(kind):
    data = STUDIES[kind]
    chosen = clusters.chosen(data["scores"])
    rows = rows_of(data, package=None)
    best = max(rows, key=lambda row: row["score"])["round"]
    shown = [name for _, name in chosen]
    assert shown[0] == "none" and best in shown
    figure = drawn("clusters", kind)
    grid = np.reshape(figure.axes, (len(shown), 2))
    for (left, right), name in zip(grid, shown, strict=True):
        received = [r for r in data["cluster_scores"].to_pylist() if r["round"] == name]
        wanted = Counter(row["jobs"].bit_length() for row in received)  # 0, 1, 2-3, 4-7 ...
        heights = [bar.get_height() for bar in left.patches]
        assert heights == [wanted[i] for i in range(len(heights))]
        assert sum(heights) == len(received)
        assert sum(bar.get_height() for bar in right.patches) == sum(
            row["jobs"] > 0 for row in received
        )
        mean = sum(row["outcome"] for row in received) / sum(row["jobs"] for row in received)
        assert right.lines[0].get_xdata()[0] == pytest.approx(mean)


def test_the_best_round_may_be_the_first_or_the_last():
    def of(*score):
        rows = [("none", "none", None, 0, None, score[0])]
        rows += [(f"c{i}", "cumulative", 1, i, f"s{i}", s) for i, s in enumerate(score[1:], 1)]
        columns = {k: [None] * len(rows) for k in tables.SCHEMAS["scores"].names}
        values = zip(*rows, strict=True)
        names = ("round", "plan", "order", "position", "added", "score")
        return tables.table("scores", columns | dict(zip(names, values, strict=True)))

    assert clusters.chosen(of(0.5)) == [("no metadata and best round and last round", "none")]
    assert clusters.chosen(of(0.5, 0.4)) == [
        ("no metadata and best round", "none"),
        ("last round: 1 subsystem", "c1"),
    ]
    assert [name for _, name in clusters.chosen(of(0.5, 0.7, 0.6))] == ["none", "c1", "c2"]
    assert clusters.chosen(of(0.5, 0.7, 0.8))[1] == (
        "best round and last round: 2 subsystems",
        "c2",
    )


def test_calibration_is_that_of_the_predictions():
    data, kind = STUDIES["usual"], "usual"
    predictions = data["predictions"].to_pylist()
    figure = drawn("calibration", kind)
    top, bottom, right = figure.axes
    bins = [[row for row in predictions if min(int(row["probability"] * 10), 9) == i]
            for i in range(10)]  # fmt: skip
    line, _, (bars,) = top.containers[0]
    x, y = line.get_data()
    full = [rows for rows in bins if rows]
    np.testing.assert_allclose(x, [np.mean([r["probability"] for r in rows]) for rows in full])
    np.testing.assert_allclose(y, [np.mean([r["success"] for r in rows]) for rows in full])
    for (low, high), rows in zip(bars.get_segments(), full, strict=True):
        successes = sum(row["success"] for row in rows)
        wilson = binomtest(successes, len(rows)).proportion_ci(method="wilson")
        assert (low[1], high[1]) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
    assert list(bottom.patches[0].get_data().values) == [len(rows) for rows in bins]
    success = [row["success"] for row in predictions]
    probability = [row["probability"] for row in predictions]
    legend = top.get_legend().get_texts()[0].get_text()
    assert f"log loss {log_loss(success, probability):.3f} " in legend
    assert f"({log_loss(success, [0.6] * len(success)):.3f})" in legend
    assert f"Brier {brier_score_loss(success, probability):.3f} " in legend
    error = sum(abs(np.sum([r["success"] - r["probability"] for r in rows])) for rows in full)
    assert f"ECE {error / len(predictions):.3f} " in legend
    measured = [row for row in data["metrics"].to_pylist() if row["log_loss"] is not None]
    points = right.collections[0].get_offsets().tolist()
    assert points == [[row["baseline_log_loss"], row["log_loss"]] for row in measured]
    better = sum(row["log_loss"] < row["baseline_log_loss"] for row in measured)
    assert title(figure).startswith(f"{better} of {len(measured)} models")


@given(st.data())
def test_wilson_is_an_interval_around_the_share(data):
    builds = data.draw(st.integers(1, 10**6))
    successes = data.draw(st.integers(0, builds))
    low, high = calibration.wilson(np.array([successes]), np.array([builds]))
    assert 0 <= low[0] <= successes / builds <= high[0] <= 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.2)), min_size=1, max_size=6))
def test_labels_are_moved_apart_and_no_further(labels):
    centres, heights = np.array(labels).T
    placed = style._spread(centres, heights)
    order = np.argsort(centres, kind="stable")
    gaps = np.diff(placed[order]) - (heights[order][1:] + heights[order][:-1]) / 2
    assert (gaps > -1e-9).all()
    free = np.diff(centres[order]) - (heights[order][1:] + heights[order][:-1]) / 2
    if (free >= 0).all():
        np.testing.assert_allclose(placed, centres, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_scripts_write_both_files(name, tmp_path):
    inputs = INPUTS.get(name, ("scores",))
    for table in inputs:
        tables.write(tmp_path / f"{table}.parquet", table, STUDIES["one order"][table])
    paths = {table: tmp_path / f"{table}.parquet" for table in inputs}
    main = importlib.import_module(f"plot_{name}").main
    main(**paths, svg=tmp_path / "f" / "a.svg", png=tmp_path / "f" / "a.png")
    ElementTree.parse(tmp_path / "f" / "a.svg")
    assert (tmp_path / "f" / "a.png").stat().st_size > 5000


@pytest.mark.parametrize("orders", [1, 5])
@pytest.mark.parametrize("config", ["config", "reliabuild", "reliabuild-full"])
def test_captions_are_rst_and_give_the_numbers_of_the_code(config, orders):
    path = ROOT / "config" / f"{config}.yaml"
    schema = yaml.safe_load((ROOT / "config" / "schema.yaml").read_text())
    settings = yaml.safe_load(path.read_text()) | {"rounds": {"orders": orders}}
    snakemake = SimpleNamespace(config=complete(settings, schema, path.name))
    said = {}
    for file in sorted((ROOT / "report").glob("*.rst")):
        template = Environment(undefined=StrictUndefined).from_string(file.read_text())
        said[file.stem] = " ".join(template.render(snakemake=snakemake).split())
        publish_parts(
            template.render(snakemake=snakemake),
            writer="html",
            settings_overrides={"halt_level": 2, "report_level": 2},
        )
    assert set(said) == {"workflow", *NAMES}
    assert f"fewer than {scores.FEW} jobs" in said["scores"]
    assert f"At most {subsystems.SHOWN} subsystems" in said["subsystems"]
    assert f"the {packages.SHOWN} with the most jobs" in said["packages"]
    assert f"the gain is below {packages.WORTH}" in said["packages"]
    assert snakemake.config["study"] in said["workflow"]
