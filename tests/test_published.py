"""The published records give the published figures, from archives to scores."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest

from prism import clusters, features, jobs, measures, models, rounds, scores, tables
from prism.records.merge import read_records
from prism.scheduler import embedded

LABELLED = (
    "rainbow-experiments-3e3ad136.tar.zst",
    "experiments/simulation-reliabuild/data/prepared",
)
FOLDERS = ("error-analysis-ce8be020.tar.zst", "data/spec_files")
PROPERTIES = ("version", "compiler_version")
SEED = 3


@pytest.fixture(scope="module")
def records(published) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Builds, rejected and nodes of the labelled records."""
    return read_records([(published(LABELLED[0]), LABELLED[1])])


@pytest.fixture(scope="module")
def listed(records) -> pa.Table:
    return features.packages(records[0], min_builds=5)


@pytest.fixture(scope="module")
def tables_of_features(records, listed) -> dict[str, pa.Table]:
    """The features table of every package that has a model."""
    builds, _, nodes = records
    modelled = [row["package"] for row in listed.to_pylist() if row["reason"] is None]
    return {name: features.extract(builds, nodes, name, PROPERTIES) for name in modelled}


@pytest.fixture(scope="module")
def study(records, listed, tables_of_features) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Jobs, 1,000 clusters and random outcomes."""
    builds, _, nodes = records
    drawn = clusters.balanced(clusters.values(tables_of_features.values()), 1_000, SEED)
    required = jobs.requirements(builds, nodes, listed, drawn.column_names[1:], PROPERTIES)
    groups = list(tables_of_features)
    outcomes = {
        "group": np.repeat(groups, 1_000),
        "cluster": np.tile(drawn["cluster"].to_pylist(), len(groups)),
        "probability": np.random.default_rng(SEED).random(1_000 * len(groups)),
    }
    return required, drawn, tables.table("outcomes", outcomes)


@pytest.fixture(scope="module")
def plan(study) -> list[dict]:
    subsystems = study[0]["subsystem"].unique().drop_null().to_pylist()
    return rounds.plan(subsystems, 1, SEED).to_pylist()


def test_builds_of_the_labelled_records(records):
    builds, rejected, nodes = records
    assert len(builds) == 14_676
    assert Counter(builds["success"].to_pylist()) == {True: 10_502, False: 4_174}
    assert len(builds["package"].unique()) == 50
    assert set(builds["reason"].filter(pa.compute.invert(builds["success"])).to_pylist()) == {
        "Root Failure"}  # fmt: skip
    assert Counter(rejected["why"].to_pylist()) == {"spec without a label": 12}
    keys = list(zip(builds["package"].to_pylist(), builds["build"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    order = list(dict.fromkeys(nodes["build"].to_pylist()))
    assert order == builds["build"].to_pylist()


def test_packages_of_the_labelled_records(listed):
    rows = listed.to_pylist()
    assert sum(row["reason"] is None for row in rows) == 49
    # heffte's label table is empty, so that it has no build at all
    assert [(row["package"], row["builds"]) for row in rows if row["reason"]] == [("loki", 1)]


def test_features_of_the_labelled_records(records, tables_of_features):
    builds, _, nodes = records
    found = clusters.values(tables_of_features.values())
    assert len(found) == 119
    stated = defaultdict(dict)
    columns = (nodes[name].to_pylist() for name in ("build", "node", *PROPERTIES))
    for build, node, *texts in zip(*columns, strict=True):
        for name, text in zip(PROPERTIES, texts, strict=True):
            stated[build][f"{node}-{name}"] = text
    names, values = set(), defaultdict(set)
    for row in builds.to_pylist():
        for feature, value in stated[row["build"]].items():
            values[row["package"], feature].add(value)
    for package, table in tables_of_features.items():
        wanted = {name for of, name in values if of == package and len(values[of, name]) > 1}
        assert set(table.column_names[2:]) == wanted
        names |= wanted
        for name in wanted:
            assert table[name].to_pylist() == [
                stated[build].get(name) for build in table["build"].to_pylist()]  # fmt: skip
    assert names == set(found)


def test_jobs_of_the_labelled_records(study, plan):
    required, drawn, _ = study
    assert drawn.shape == (1_000, 120)
    assert len(required["job"].unique()) == 14_675
    assert required["feature"].null_count == 0
    counts = Counter(required["job"].to_pylist())
    assert round(len(required) / 14_675, 2) == 8.63
    assert max(counts.values()) == 29
    assert len(plan) == 1 + 118


def test_rounds_on_the_labelled_records_equal_plain_loops(study, plan):
    required, drawn, outcomes = study
    queue = embedded.queue(required, drawn, outcomes)
    chosen = [(row["round"], row["subsystems"]) for row in plan]
    found = dict(rounds.run(queue, chosen, SEED))

    chances = defaultdict(dict)
    for row in outcomes.to_pylist():
        chances[row["group"]][row["cluster"]] = row["probability"]
    wanted = defaultdict(dict)
    group_of = {}
    for row in required.to_pylist():
        wanted[row["job"]][row["feature"]] = row
        group_of[row["job"]] = row["group"]
    mean = {group: math.fsum(own.values()) / len(own) for group, own in chances.items()}
    plain = math.fsum(mean[group] for group in group_of.values()) / len(group_of)
    assert found["none"].expected.mean() == pytest.approx(plain, rel=0, abs=1e-12)
    assert set(found["none"].matches) == {1_000}

    place = {job: number for number, job in enumerate(queue.jobs)}
    sample = random.Random(SEED).sample(queue.jobs, 200)
    offers = drawn.to_pylist()
    for row in (plan[5], plan[59], plan[-1]):
        placements = found[row["round"]]
        for job in sample:
            asked = {
                name: one["value"]
                for name, one in wanted[job].items()
                if one["subsystem"] in row["subsystems"]
            }
            own = chances[group_of[job]]
            matches = [
                offer["cluster"]
                for offer in offers
                if all(offer[name] == value for name, value in asked.items())
            ]
            number = place[job]
            expected = math.fsum(own[name] for name in matches) / max(len(matches), 1)
            assert placements.matches[number] == len(matches)
            assert placements.expected[number] == pytest.approx(expected, rel=0, abs=1e-12)
            if matches:
                name = queue.clusters[placements.cluster[number]]
                assert name in matches
                assert placements.outcome[number] == own[name]
            else:
                assert placements.cluster[number] == -1

    scratch = dict(rounds.run(queue, chosen[59:60], SEED))[chosen[59][0]]
    for one, other in zip(scratch, found[chosen[59][0]], strict=True):
        assert one.tobytes() == other.tobytes()
    # every draw alone is one run; its mean over many jobs is near the expectation
    for row in plan[:30:10]:
        placements = found[row["round"]]
        assert abs(placements.outcome.mean() - placements.expected.mean()) < 0.02


def test_scores_of_the_labelled_records(study, plan):
    required, drawn, outcomes = study
    queue = embedded.queue(required, drawn, outcomes)
    chosen = [(row["round"], row["subsystems"]) for row in plan[:3]]
    done = [embedded.table(queue, one) for _, one in rounds.run(queue, chosen, SEED)]
    table = tables.table("rounds", {name: [row[name] for row in plan[:3]] for name in plan[0]})
    by_package, by_cluster = scores.score(table, done, required, outcomes)
    assert len(by_package) == 3 * 50
    assert len(by_cluster) == 3 * 1_000
    none = by_package.to_pylist()[0]
    assert (none["package"], none["jobs"], none["placed"]) == (None, 14_675, 14_675)
    assert none["matches"] == 14_675_000


def test_cross_validation_of_the_labelled_records(listed, tables_of_features):
    predictions = measures.merge(
        models.cross_validate(table, package, 1.0, 10, SEED)
        for package, table in tables_of_features.items()
    )
    rows = measures.measure(predictions, listed).to_pylist()
    assert len(rows) == 49
    measured = [row for row in rows if row["log_loss"] is not None]
    assert len(measured) == 40
    assert all((row["reason"] is None) == (row in measured) for row in rows)
    large = [row for row in measured if min(row["successes"], row["n"] - row["successes"]) >= 10]
    assert len(large) == 32
    assert np.mean([row["log_loss"] for row in large]) < 0.325
    assert np.mean([row["log_loss"] for row in large]) < np.mean(
        [row["baseline_log_loss"] for row in large]
    )


def test_all_published_specs(published):
    builds, rejected, nodes = read_records(
        [(published(LABELLED[0]), LABELLED[1]), (published(FOLDERS[0]), FOLDERS[1])]
    )
    assert len(builds) == 26_610
    assert len(builds["package"].unique()) == 470
    why = Counter(text.partition(":")[0] for text in rejected["why"].to_pylist())
    assert why["conflicting"] == 149
    # of a hash in both folders that has a label, the folder that says otherwise is overruled
    assert why == {"conflicting": 149, "overruled": 155}
    assert len(nodes["build"].unique()) == 26_610
