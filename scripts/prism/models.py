"""Models of what a package builds in: fitted, cross-validated, stored as tables, predicted.

A model is a table of terms that add up to log odds, so that any program that reads parquet can
predict with it: P(success) = 1 / (1 + exp(-(prior + the weights of the values met))).
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prism import tables
from prism.streams import stream

KIND = "categorical_nb"
PRIOR = "(prior)"  # the term that every environment meets; no feature has such a name

# scikit-learn takes longer to import than predicting takes, so only what needs it imports it.


def fit(features: pa.Table, smoothing: float) -> pa.Table:
    """Fit a categorical naive Bayes model.

    "The spec has no such node" (null) is a value of the feature like any other. Where nothing can
    be learnt from features, because there are none or all builds had the same outcome, the model
    is the base rate alone, smoothed to (successes + smoothing) / (builds + 2 smoothing), which is
    never 0 or 1.

    Parameters
    ----------
    features : pyarrow.Table
        A `features` table.
    smoothing : float
        Pseudo-count that is added to every value of a feature in each outcome; above 0.

    Returns
    -------
    pyarrow.Table
        A `models` table: the term "(prior)", then one row a feature and value that the builds
        have, with the builds of each outcome that have it and what it adds to the log odds (natural
        logarithm). Kind and smoothing stand in the schema's metadata.
    """
    success = features["success"].to_numpy()
    names = _names(features)
    totals = np.array([np.sum(~success), np.sum(success)])
    terms, values, counts = [PRIOR], [None], [totals[:, None]]
    if names and totals.all():
        from sklearn.naive_bayes import CategoricalNB  # noqa: PLC0415  (see the top)

        levels, codes = zip(*(_encode(features[name]) for name in names), strict=True)
        bayes = CategoricalNB(alpha=smoothing).fit(np.column_stack(codes), success)
        weights = [np.diff(bayes.class_log_prior_)]
        for name, level, log_probability in zip(
            names, levels, bayes.feature_log_prob_, strict=True
        ):
            terms += [name] * len(level)
            values += level.to_pylist()
            weights.append(log_probability[1] - log_probability[0])
        counts += bayes.category_count_
    else:
        weights = [np.diff(np.log(totals + smoothing))]
    failures, successes = np.concatenate(counts, axis=1).astype(int)
    return tables.table(
        "models",
        {
            "term": terms,
            "value": values,
            "successes": successes,
            "failures": failures,
            "weight": np.concatenate(weights),
        },
        {"kind": KIND, "smoothing": repr(float(smoothing))},
    )


def predict(model: pa.Table, environments: pa.Table) -> np.ndarray:
    """Probability that a build succeeds in each environment.

    A value that the model never saw gives no evidence: its term is left out, as is that of a
    feature which the environments lack. A null counts as "the spec has no such node" where the
    model knows such builds, and gives no evidence elsewhere.

    Parameters
    ----------
    model : pyarrow.Table
        A `models` table.
    environments : pyarrow.Table
        A table with text columns named after features, for example `clusters` or `features`.

    Returns
    -------
    ndarray of float64, shape (environments,)
    """
    log_odds = np.full(environments.num_rows, model["weight"][0].as_py())
    for name in model["term"].unique().to_pylist():
        if name not in environments.column_names:
            continue
        rows = model.filter(pc.equal(model["term"], name))
        known = pc.index_in(environments[name].cast(tables.TEXT), value_set=rows["value"])
        log_odds += rows["weight"].take(known).fill_null(0.0).to_numpy()
    return np.exp(-np.logaddexp(0.0, -log_odds))  # never overflows, exact also near 0


def outcomes(models: Iterable[tuple[str, pa.Table]], clusters: pa.Table) -> pa.Table:
    """Predict every group's outcome on every cluster.

    Parameters
    ----------
    models : iterable of (str, pyarrow.Table)
        Groups (packages) and their `models` tables.
    clusters : pyarrow.Table
        A `clusters` table.

    Returns
    -------
    pyarrow.Table
        An `outcomes` table: groups in the order given, within them clusters in the table's order.
    """
    groups, probabilities = [], [np.empty(0)]
    for group, model in models:
        groups.append(group)
        probabilities.append(predict(model, clusters))
    size = clusters.num_rows
    return tables.table(
        "outcomes",
        {
            "group": tables.coded(np.repeat(np.arange(len(groups)), size), groups),
            "cluster": tables.coded(
                np.tile(np.arange(size), len(groups)), clusters["cluster"].to_pylist()
            ),
            "probability": np.concatenate(probabilities),
        },
    )


def cross_validate(
    features: pa.Table, package: str, smoothing: float, folds: int, seed: int
) -> pa.Table:
    """Predict every build by a model that was fitted without it.

    Folds are stratified by outcome and drawn from the stream ("folds", package); builds with the
    same value of every feature stay in one fold, so that no build is predicted from its twin. A
    value that the training folds don't have gives no evidence.

    Parameters
    ----------
    features : pyarrow.Table
        A `features` table.
    package : str
        Its package.
    smoothing : float
        As for `fit`.
    folds : int
        How many folds; fewer where the rarer outcome has fewer distinct feature vectors, each of
        which can be in one fold only.
    seed : int
        The study's seed.

    Returns
    -------
    pyarrow.Table
        A `predictions` table in the builds' order, whose baseline is the success rate of the
        training folds. Empty if there are no two folds that leave both outcomes to train on.
    """
    success = features["success"].to_numpy()
    splits = _splits(success, _vectors(features), folds, stream(seed, "folds", package))
    fold = np.zeros(len(success), int)
    probability, baseline = np.zeros(len(success)), np.zeros(len(success))
    for number, (train, test) in enumerate(splits):
        model = fit(features.take(train), smoothing)
        fold[test] = number
        probability[test] = predict(model, features.take(test))
        baseline[test] = success[train].mean()
    predictions = tables.table(
        "predictions",
        {
            "build": features["build"],
            "package": [package] * len(success),
            "model": [KIND] * len(success),
            "success": features["success"],
            "fold": fold,
            "probability": probability,
            "baseline": baseline,
        },
    )
    return predictions if splits else predictions.slice(0, 0)


def _names(features: pa.Table) -> list[str]:
    return features.column_names[len(tables.SCHEMAS["features"]) :]


def _encode(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Distinct values of a feature (sorted, null last) and their ordinal codes by build."""
    text = column.cast(tables.TEXT)
    values = pc.unique(text)
    values = values.take(pc.sort_indices(values))
    return values, pc.index_in(text, value_set=values).to_numpy()


def _vectors(features: pa.Table) -> np.ndarray:
    """Number of every build's feature vector: builds with the same values have the same."""
    codes = [_encode(features[name])[1] for name in _names(features)]
    if not codes:
        return np.zeros(features.num_rows, int)
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1]


def _splits(
    success: np.ndarray, vectors: np.ndarray, folds: int, draws: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each fold; empty if a training set would lack an outcome."""
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415  (see the top)

    folds = min(folds, *(len(np.unique(vectors[success == outcome])) for outcome in (True, False)))
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(draws.integers(2**32)))
    splits = list(splitter.split(vectors, success, vectors))
    trainable = all(0 < success[train].sum() < len(train) for train, _ in splits)
    return splits if trainable else []
