"""How good a model's probabilities are, from predictions of builds that it was not fitted on.

Every measure takes `success` (bool) and `probability` (of success), both of shape (builds,), both
outcomes present.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from prism import tables
from prism.models import KIND

BINS = 10


def calibration_error(success: np.ndarray, probability: np.ndarray) -> float:
    """Expected calibration error.

    The mean over ten bins, weighted by their builds, of |success rate - mean probability|
    (Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015). The bins are of equal width in the probability of success; each holds its
    lower edge, the last one 1 as well. With few builds it is above 0 for a perfect model too.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    surplus = np.bincount(bins, success - probability, BINS)
    return float(np.abs(surplus).sum() / len(success))


MEASURES = {
    "accuracy": lambda success, probability: accuracy_score(success, probability > 0.5),
    "balanced_accuracy": (
        lambda success, probability: balanced_accuracy_score(success, probability > 0.5)
    ),
    "roc_auc": roc_auc_score,
    "log_loss": log_loss,  # nats; clipped to the machine epsilon from 0 and 1
    "brier": brier_score_loss,
    "calibration_error": calibration_error,
}


def merge(parts: Iterable[pa.Table]) -> pa.Table:
    """Join tables of predictions, sorted by package, build and model."""
    empty = tables.SCHEMAS["predictions"].empty_table()
    whole = pa.concat_tables([empty, *parts])
    # dictionaries neither sort nor have one order of their own: as text, then encoded anew
    keys = {name: whole[name].cast(tables.TEXT) for name in ("package", "build", "model")}
    order = pc.sort_indices(pa.table(keys), [(name, "ascending") for name in keys])
    whole = whole.set_column(1, "package", keys["package"]).set_column(2, "model", keys["model"])
    whole = whole.take(order)
    return tables.table("predictions", {name: whole[name] for name in whole.column_names})


def measure(predictions: pa.Table, packages: pa.Table) -> pa.Table:
    """Measure the predictions of every package that has a model.

    Parameters
    ----------
    predictions : pyarrow.Table
        A `predictions` table, out of fold.
    packages : pyarrow.Table
        The `packages` table; one without a model is left out.

    Returns
    -------
    pyarrow.Table
        A `metrics` table in the order of `packages`. Where a package has no predictions, its
        metrics are null and `reason` says why. The ROC AUC of the baseline tends below 1/2: a fold
        with more successes leaves fewer to train on.
    """
    rows = []
    models = predictions["model"].unique().to_pylist() or [KIND]
    for package in packages.filter(packages["reason"].is_null()).to_pylist():
        own = predictions.filter(pc.equal(predictions["package"], package["package"]))
        for model in models:
            rows.append(_row(package, model, own.filter(pc.equal(own["model"], model))))
    return pa.Table.from_pylist(rows, tables.SCHEMAS["metrics"])


def summary(metrics: pa.Table) -> str:
    """One line: how many packages were measured, how many not and why."""
    reasons = Counter(metrics["reason"].to_pylist())
    measured = reasons.pop(None, 0)
    why = "".join(f"; {count} not: {reason}" for reason, count in sorted(reasons.items()))
    return f"measured {measured} of {metrics.num_rows} models out of fold{why}"


def _row(package: dict, model: str, predictions: pa.Table) -> dict:
    row = {
        "package": package["package"],
        "model": model,
        "n": package["builds"],
        "successes": package["successes"],
        "folds": pc.count_distinct(predictions["fold"]).as_py(),
    }
    if not predictions.num_rows:
        return row | {"reason": _reason(package["builds"], package["successes"])}
    success = predictions["success"].to_numpy()
    for column, prefix in (("probability", ""), ("baseline", "baseline_")):
        probability = predictions[column].to_numpy()
        row |= {prefix + name: float(rule(success, probability)) for name, rule in MEASURES.items()}
    return row


def _reason(builds: int, successes: int) -> str:
    if successes in (0, builds):
        return "all builds had the same outcome"
    if 1 in (successes, builds - successes):
        return "one outcome has a single build; folds need at least two of each"
    return "too few distinct feature vectors to leave both outcomes to train on in every fold"
