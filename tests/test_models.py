import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import CategoricalNB
from sklearn.preprocessing import OrdinalEncoder

import cross_validate as cross_validate_script
import fit_models
import measure_models
import predict_outcomes
from prism import measures, models, tables

ROOT = Path(__file__).parents[1]
VALUES = st.sampled_from(["1.9", "1.10", "develop", "9e", None])


def features_of(success: list[bool], **columns: list[str | None]) -> pa.Table:
    builds = [f"build{number}" for number in range(len(success))]
    columns = {name.replace("_", "-"): column for name, column in columns.items()}
    return tables.table("features", {"build": builds, "success": success, **columns})


def clusters_of(size: int, **columns: list[str | None]) -> pa.Table:
    columns = {name.replace("_", "-"): column for name, column in columns.items()}
    return tables.table("clusters", {"cluster": [f"cluster{n}" for n in range(size)], **columns})


def random_features(seed: int, builds: int, columns: int = 3, values: int = 4) -> pa.Table:
    random = np.random.default_rng(seed)
    text = {
        f"d{column}_version": [None if v == 0 else f"{v}.0" for v in draw]
        for column, draw in enumerate(random.integers(0, values, (columns, builds)))
    }
    success = [c != "1.0" if c else random.random() < 0.7 for c in text["d0_version"]]
    return features_of(success, **text)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@st.composite
def both_outcomes(draw: st.DrawFn) -> pa.Table:
    size = draw(st.integers(2, 25))
    success = [True, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))]
    columns = draw(st.lists(st.lists(VALUES, min_size=size, max_size=size), min_size=1, max_size=4))
    return features_of(success, **{f"d{n}_version": column for n, column in enumerate(columns)})


@settings(max_examples=60, deadline=None)
@given(both_outcomes(), st.floats(0.01, 10))
def test_a_model_predicts_what_scikit_learn_predicts(features: pa.Table, smoothing: float) -> None:
    frame = features.drop_columns(["build", "success"]).to_pandas().astype(object)
    frame = frame.where(frame.notna(), "absent")
    codes = OrdinalEncoder().fit_transform(frame)
    expected = CategoricalNB(alpha=smoothing).fit(codes, features["success"].to_numpy())
    found = models.predict(models.fit(features, smoothing), features)
    np.testing.assert_allclose(found, expected.predict_proba(codes)[:, 1], rtol=0, atol=1e-12)


def test_a_model_is_a_table_of_terms() -> None:
    features = features_of([True, True, True, False], zlib_version=["1", "1", None, "2"])
    model = models.fit(features, 1.0)
    assert model.schema.metadata == {b"kind": b"categorical_nb", b"smoothing": b"1.0"}
    assert model.drop_columns("weight").to_pylist() == [
        {"term": "(prior)", "value": None, "successes": 3, "failures": 1},
        {"term": "zlib-version", "value": "1", "successes": 2, "failures": 0},
        {"term": "zlib-version", "value": "2", "successes": 0, "failures": 1},
        {"term": "zlib-version", "value": None, "successes": 1, "failures": 0},
    ]
    weights = [3 / 1, (3 / 6) / (1 / 4), (1 / 6) / (2 / 4), (2 / 6) / (1 / 4)]
    np.testing.assert_allclose(model["weight"].to_pylist(), np.log(weights), rtol=1e-14)


def test_a_stored_model_needs_nothing_but_its_rows(tmp_path: Path) -> None:
    features = random_features(1, 60)
    tables.write(tmp_path / "p.parquet", "models", models.fit(features, 0.5))
    rows = tables.read(tmp_path / "p.parquet", "models").to_pylist()
    weights = {(row["term"], row["value"]): row["weight"] for row in rows}
    expected = []
    for build in features.drop_columns(["build", "success"]).to_pylist():
        log_odds = weights["(prior)", None] + sum(weights[item] for item in build.items())
        expected.append(1 / (1 + math.exp(-log_odds)))
    found = models.predict(models.fit(features, 0.5), features)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_neither_row_order_nor_encoding_matters() -> None:
    features = random_features(2, 40)
    order = np.random.default_rng(0).permutation(40)
    text = [features["d0-version"].cast(pa.string()).take(order)]
    shuffled = features.take(order).set_column(2, "d0-version", text[0])
    parts = pa.concat_tables([shuffled.slice(0, 7), shuffled.slice(7)])
    assert models.fit(parts, 1.0).equals(models.fit(features, 1.0))


@pytest.mark.parametrize("success", [[True] * 6, [False] * 6, []])
def test_one_outcome_gives_the_smoothed_base_rate_and_no_features(success: list[bool]) -> None:
    features = features_of(success, zlib_version=["1", "2", None, "1", "2", None][: len(success)])
    model = models.fit(features, 0.5)
    assert model["term"].to_pylist() == ["(prior)"]
    expected = (sum(success) + 0.5) / (len(success) + 1)
    found = models.predict(model, clusters_of(3, zlib_version=["1", "7", None]))
    np.testing.assert_allclose(found, [expected] * 3, rtol=1e-12)


def test_a_package_without_features_has_the_smoothed_base_rate() -> None:
    found = models.predict(models.fit(features_of([True, True, False]), 1.0), clusters_of(2))
    np.testing.assert_allclose(found, [3 / 5] * 2, rtol=1e-12)


def test_what_the_model_never_saw_gives_no_evidence() -> None:
    features = features_of(
        [True, True, True, False],
        zlib_version=["1", "1", "2", "2"],  # never null
        ninja_version=["3", None, "3", "3"],
    )
    model = models.fit(features, 1.0)
    zlib = math.log((3 / 5) / (1 / 3))
    ninja = math.log((3 / 5) / (2 / 3))
    absent = math.log((2 / 5) / (1 / 3))
    prior = math.log(3)
    clusters = clusters_of(
        4, zlib_version=["1", "1.10", None, None], ninja_version=["9", "3", None, "3"]
    )
    expected = [prior + zlib, prior + ninja, prior + absent, prior + ninja]
    np.testing.assert_allclose([*map(logit, models.predict(model, clusters))], expected, rtol=1e-12)
    lacking = models.predict(model, clusters.drop_columns("ninja-version"))
    expected = [prior + zlib, prior, prior, prior]
    np.testing.assert_allclose([*map(logit, lacking)], expected, rtol=1e-12)
    assert models.predict(model, clusters.slice(0, 0)).shape == (0,)


def test_extreme_log_odds_neither_warn_nor_vanish() -> None:
    weights = {"term": ["(prior)", "a-version"], "value": [None, "1"], "weight": [-700.0, 1400.0]}
    model = tables.table("models", {**weights, "successes": [0, 0], "failures": [0, 0]})
    with np.errstate(all="raise", under="ignore"):
        found = models.predict(model, clusters_of(2, a_version=["0", "1"]))
    assert 0 < found[0] < 1e-300
    assert found[1] == 1


def test_outcomes_are_each_group_on_each_cluster_in_order() -> None:
    clusters = clusters_of(3, d0_version=["1.0", "2.0", "8"], d1_version=["1.0", None, "2.0"])
    fitted = {name: models.fit(random_features(n, 50), 1.0) for n, name in enumerate("zab")}
    found = models.outcomes(fitted.items(), clusters)
    assert found["group"].to_pylist() == list("zzzaaabbb")
    assert found["cluster"].to_pylist() == ["cluster0", "cluster1", "cluster2"] * 3
    expected = np.concatenate([models.predict(model, clusters) for model in fitted.values()])
    assert (found["probability"].to_numpy() == expected).all()
    assert models.outcomes([], clusters).num_rows == 0


def test_no_build_is_predicted_by_a_model_that_knows_it() -> None:
    features = random_features(3, 90)
    found = models.cross_validate(features, "p", 1.0, 5, 0)
    assert found["build"].equals(features["build"])
    fold = found["fold"].to_numpy()
    assert set(fold) == set(range(5))
    for number in range(5):
        rest, own = features.filter(fold != number), features.filter(fold == number)
        assert not set(rest["build"].to_pylist()) & set(own["build"].to_pylist())
        expected = models.predict(models.fit(rest, 1.0), own)
        assert (found["probability"].to_numpy()[fold == number] == expected).all()
        rate = rest["success"].to_numpy().mean()
        assert (found["baseline"].to_numpy()[fold == number] == rate).all()


def test_a_feature_that_names_the_build_teaches_nothing_out_of_fold() -> None:
    features = features_of([True] * 14 + [False] * 6, hash_version=[f"{n}" for n in range(20)])
    found = models.cross_validate(features, "p", 1.0, 5, 0)
    np.testing.assert_allclose(found["probability"], found["baseline"], rtol=1e-12)


def test_folds_are_stratified() -> None:
    success = [True] * 70 + [False] * 30
    features = features_of(success, hash_version=[f"{n}" for n in range(100)])
    found = models.cross_validate(features, "p", 1.0, 10, 0)
    assert (np.bincount(found["fold"].to_numpy()) == 10).all()
    assert (np.bincount(found["fold"].to_numpy(), success) == 7).all()


@settings(max_examples=40, deadline=None)
@given(both_outcomes(), st.integers(2, 10))
def test_builds_with_the_same_features_share_a_fold(features: pa.Table, folds: int) -> None:
    found = models.cross_validate(features, "p", 1.0, folds, 0)
    of_vector: dict[tuple, set[int]] = {}
    vectors = features.drop_columns(["build", "success"]).to_pylist()
    for vector, fold in zip(vectors, found["fold"].to_pylist(), strict=False):
        of_vector.setdefault(tuple(vector.values()), set()).add(fold)
    assert all(len(folds) == 1 for folds in of_vector.values())
    assert found.num_rows in (0, features.num_rows)
    baseline = found["baseline"].to_numpy()
    assert ((baseline > 0) & (baseline < 1)).all()


def test_folds_that_leave_one_outcome_to_train_on_are_not_used() -> None:
    features = features_of([False, True, False, True], a_version=["1", "1", "0", "3"])
    assert models.cross_validate(features, "p", 1.0, 2, 0).num_rows == 0


def test_folds_come_from_the_seed_and_the_package_alone() -> None:
    features = random_features(4, 80)

    def folds(package: str, seed: int) -> list[int]:
        return models.cross_validate(features, package, 1.0, 5, seed)["fold"].to_pylist()

    assert folds("p", 1) == folds("p", 1)
    assert folds("p", 1) != folds("p", 2)
    assert folds("p", 1) != folds("q", 1)


def package_rows(*rows: tuple[str, int, int, str | None]) -> pa.Table:
    names = ("package", "builds", "successes", "reason")
    return tables.table("packages", dict(zip(names, zip(*rows, strict=True), strict=True)))


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (features_of([True] * 5, a_version=list("12345")), "all builds had the same outcome"),
        (features_of([False, *[True] * 5], a_version=list("123456")), "a single build"),
        (features_of([False, False, True, True]), "too few distinct feature vectors"),
        (
            features_of([False, False, True, True, True], a_version=list("11234")),
            "too few distinct feature vectors",
        ),
    ],
)
def test_what_cannot_be_measured_says_why(features: pa.Table, reason: str) -> None:
    found = models.cross_validate(features, "p", 1.0, 10, 0)
    assert found.num_rows == 0
    successes = int(features["success"].to_numpy().sum())
    packages = package_rows(("p", features.num_rows, successes, None), ("small", 2, 1, "too few"))
    (row,) = measures.measure(found, packages).to_pylist()
    assert reason in row.pop("reason")
    expected = {"package": "p", "model": "categorical_nb", "n": features.num_rows, "folds": 0}
    assert {k: v for k, v in row.items() if v is not None} == {**expected, "successes": successes}


def plain_measures(pairs: list[tuple[bool, float]]) -> dict[str, float]:
    """The measures by their definitions, as loops over (success, probability)."""
    right = {True: [], False: []}
    for success, probability in pairs:
        right[success].append((probability > 0.5) == success)
    wins = [
        (good > bad) + (good == bad) / 2
        for one, good in pairs
        for other, bad in pairs
        if one and not other
    ]
    happened = [p if success else 1 - p for success, p in pairs]
    return {
        "accuracy": sum(map(sum, right.values())) / len(pairs),
        "balanced_accuracy": sum(sum(hits) / len(hits) for hits in right.values()) / 2,
        "roc_auc": sum(wins) / len(wins),
        "log_loss": sum(-math.log(max(p, sys.float_info.epsilon)) for p in happened) / len(pairs),
        "brier": sum((1 - p) ** 2 for p in happened) / len(pairs),
    }


def test_metrics_of_a_package() -> None:
    assert tuple(measures.MEASURES) == tables.METRICS
    features = random_features(5, 120)
    predictions = models.cross_validate(features, "p", 1.0, 10, 0)
    success = features["success"].to_pylist()
    metrics = measures.measure(predictions, package_rows(("p", 120, sum(success), None)))
    (row,) = metrics.to_pylist()
    assert (row["folds"], row["reason"]) == (10, None)
    for prefix, column in (("", "probability"), ("baseline_", "baseline")):
        pairs = list(zip(success, predictions[column].to_pylist(), strict=True))
        for name, value in plain_measures(pairs).items():
            assert row[prefix + name] == pytest.approx(value, abs=1e-12), prefix + name
    assert row["log_loss"] < row["baseline_log_loss"]
    assert measures.summary(metrics) == "measured 1 of 1 models out of fold"


PAIRS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0, 0.05, 0.5, 0.9, 1]) | st.floats(0, 1))
)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
@example([(False, 1.0), (True, 0.95)])  # one bin
def test_measures_hold_at_ties_and_at_certainty(pairs: list[tuple[bool, float]]) -> None:
    pairs = [*pairs, (True, 0.5), (False, 0.5)]
    success, probability = (np.array(column) for column in zip(*pairs, strict=True))
    for name, value in plain_measures(pairs).items():
        found = measures.MEASURES[name](success, probability)
        assert found == pytest.approx(value, rel=1e-9, abs=1e-12), name
    error = 0.0
    for low in range(10):
        inside = [(s, p) for s, p in pairs if int(p * 10) == low or (low == 9 and p == 1)]
        if inside:
            rate, mean = np.mean(inside, axis=0)
            error += len(inside) / len(pairs) * abs(rate - mean)
    assert measures.calibration_error(success, probability) == pytest.approx(error, abs=1e-12)


def write_study(folder: Path) -> list[Path]:
    sizes = {"zlib": 40, "abyss": 30, "heffte": 6}
    for seed, (package, size) in enumerate(sizes.items()):
        features = random_features(seed, size)
        if package == "heffte":
            features = features_of([True] * 6, a_version=list("112233"))
        tables.write(folder / "features" / f"{package}.parquet", "features", features)
    rows = [
        ("zlib", 40, 30, None),
        ("abyss", 30, 20, None),
        ("heffte", 6, 6, None),
        ("loki", 1, 1, "too few"),
    ]
    tables.write(folder / "packages.parquet", "packages", package_rows(*rows))
    return [folder / "features" / f"{package}.parquet" for package in sizes]


def test_scripts_give_the_same_tables_whatever_the_batches(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    paths = write_study(tmp_path)
    found = []
    for name, batches in {"one": [paths], "many": [[path] for path in reversed(paths)]}.items():
        for number, batch in enumerate(batches):
            out = tmp_path / name / f"{number}.parquet"
            cross_validate_script.main(features=batch, smoothing=1.0, folds=5, seed=3, out=out)
        out = {key: tmp_path / name / f"{key}.parquet" for key in ("predictions", "metrics")}
        measure_models.main(
            predictions=[tmp_path / name / f"{n}.parquet" for n in range(len(batches))],
            packages=tmp_path / "packages.parquet",
            predictions_out=out["predictions"],
            metrics_out=out["metrics"],
        )
        found.append([path.read_bytes() for path in out.values()])
    assert found[0] == found[1]
    predictions = tables.read(out["predictions"], "predictions")
    keys = [(row["package"], row["build"]) for row in predictions.to_pylist()]
    assert keys == sorted(keys)
    metrics = tables.read(out["metrics"], "metrics")
    assert metrics["package"].to_pylist() == ["zlib", "abyss", "heffte"]
    said = "measured 2 of 3 models out of fold; 1 not: all builds had the same outcome"
    assert said in capsys.readouterr().out


def test_scripts_go_from_features_to_outcomes(tmp_path: Path) -> None:
    paths = write_study(tmp_path)
    fit_models.main(features=paths, smoothing=1.0, out=tmp_path / "models")
    model = tables.read(tmp_path / "models" / "abyss.parquet", "models")
    assert model.schema.metadata[b"package"] == b"abyss"
    assert model.equals(models.fit(tables.read(paths[1], "features"), 1.0))
    clusters = clusters_of(2, d0_version=["1.0", "2.0"])
    tables.write(tmp_path / "clusters.parquet", "clusters", clusters)
    predict_outcomes.main(
        models=[tmp_path / "models" / path.name for path in paths],
        clusters=tmp_path / "clusters.parquet",
        out=tmp_path / "outcomes.parquet",
    )
    outcomes = tables.read(tmp_path / "outcomes.parquet", "outcomes")
    assert outcomes["group"].to_pylist() == ["zlib"] * 2 + ["abyss"] * 2 + ["heffte"] * 2
    assert outcomes["probability"].to_numpy()[4:] == pytest.approx(7 / 8)


def test_predicting_starts_without_scikit_learn() -> None:
    code = "import sys, predict_outcomes; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=True)
