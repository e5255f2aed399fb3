"""Made-up studies to draw, and the figures of them."""

import importlib
import warnings
from functools import cache

import numpy as np

from prism import tables

NAMES = ("scores", "subsystems", "packages", "clusters", "calibration")
INPUTS = {"clusters": ("scores", "cluster_scores"), "calibration": ("predictions", "metrics")}


def study(packages=3, subsystems=4, orders=2, clusters=12, seed=0, keep=0.8):
    """Tables of a made-up study; a placed job is placed in the next round with chance `keep`."""
    rng = np.random.default_rng(seed)
    names = [f"package-{i}" for i in range(packages)]
    jobs = rng.integers(5, 40, packages)
    quality = rng.uniform(0.2, 0.7, packages)
    rows, received = [], []

    def add(name, plan, order, position, added, placed):
        expected = placed * np.minimum(quality + 0.03 * position, 0.95)
        sums = {
            "jobs": jobs, "placed": placed, "matches": placed * max(clusters - 2 * position, 1),
            "outcome": expected * 0.98, "expected": expected, "ceiling": jobs * 0.97,
        }  # fmt: skip
        for package in (None, *range(packages)):
            row = {k: v.sum() if package is None else v[package] for k, v in sums.items()}
            row |= {"round": name, "plan": plan, "order": order, "position": position}
            row |= {"added": added, "package": None if package is None else names[package]}
            row["score"] = row["expected"] / row["jobs"]
            row["drawn_score"] = row["outcome"] / row["jobs"]
            rows.append(row)
        share = rng.multinomial(placed.sum(), np.full(clusters, 1 / clusters))
        for cluster, n in enumerate(share):
            received.append((name, f"cluster-{cluster}", n, 0.5 * n * rng.random(), 0.9 * n))

    add("none", "none", None, 0, None, np.where(keep, jobs, 0))
    for order in range(1, orders + 1 if subsystems else 1):
        placed = np.where(keep, jobs, 0)
        for position, i in enumerate(rng.permutation(subsystems), 1):
            placed = rng.binomial(placed, keep)
            name = f"cumulative-{order}-{position:03d}"
            add(name, "cumulative", order, position, f"subsystem-{i}", placed)
    columns = {k: [row[k] for row in rows] for k in tables.SCHEMAS["scores"].names}
    received = dict(
        zip(tables.SCHEMAS["cluster_scores"].names, zip(*received, strict=True), strict=True)
    )
    return {
        "rows": rows,
        "scores": tables.table("scores", columns),
        "cluster_scores": tables.table("cluster_scores", received),
        **judged(names, 60, rng),
    }


def judged(names, builds, rng):
    """Tables of predictions and metrics; the last package has none where there are several."""
    rows, metrics = [], []
    for package in names:
        metric = dict.fromkeys(tables.SCHEMAS["metrics"].names)
        metric |= {"package": package, "model": "naive_bayes", "n": builds, "folds": 5}
        metrics.append(metric | {"successes": builds, "reason": "all builds had the same outcome"})
        if package == names[-1] != names[0] or not builds:
            continue
        probability = rng.random(builds).round(2)  # 0, 1 and edges of bins among them
        success = rng.random(builds) < 0.2 + 0.6 * probability
        metrics[-1] |= {
            "reason": None, "successes": success.sum(),
            "log_loss": rng.uniform(0.1, 1) if names[1:] else 0.0,
            "baseline_log_loss": rng.uniform(0.1, 0.7),
        }  # fmt: skip
        rows += [
            (f"{package}-{i}", package, "naive_bayes", bool(s), i % 5, p, 0.6)
            for i, (s, p) in enumerate(zip(success, probability, strict=True))
        ]
    predictions = list(zip(*rows, strict=True)) or [[]] * len(tables.SCHEMAS["predictions"])
    return {
        "predictions": tables.table(
            "predictions", dict(zip(tables.SCHEMAS["predictions"].names, predictions, strict=True))
        ),
        "metrics": tables.table(
            "metrics", {k: [row[k] for row in metrics] for k in tables.SCHEMAS["metrics"].names}
        ),
    }


@cache
def drawn(name, kind):
    """The figure of one of `STUDIES`, made once for all tests that only read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(name, STUDIES[kind])


def draw(name, data):
    function = getattr(importlib.import_module(f"prism.figures.{name}"), f"plot_{name}")
    return function(*(data[table] for table in INPUTS.get(name, ("scores",))))


def rows_of(data, **wanted):
    """Rows of the scores table, as a loop would pick them."""
    return [row for row in data["rows"] if all(row[k] == v for k, v in wanted.items())]


def along(data, order, package=None):
    """Rows of an order from no metadata on."""
    rows = rows_of(data, plan="none", package=package)
    added = rows_of(data, plan="cumulative", package=package, order=order)
    return rows + sorted(added, key=lambda row: row["position"])


def title(figure):
    return figure.get_suptitle().replace("\n", " ")


def lines(axes, colour):
    return [line.get_ydata() for line in axes.lines if line.get_color() == colour]


STUDIES = {
    "usual": study(),
    "one order": study(orders=1),
    "one round": study(subsystems=0),
    "one package": study(packages=1, orders=1),
    "none placed": study(keep=0),
    "all placed": study(keep=1),
    "no predictions": study() | judged(["package-0", "package-1"], 0, np.random.default_rng(0)),
    "much": study(packages=52, subsystems=30, orders=1, clusters=300),
    "few clusters": study(packages=40, subsystems=2, orders=1, clusters=2),
    "falls to nothing": study(subsystems=30, orders=3, keep=0.5),
}
