"""The embedded scheduler finds what two plain loops find, and draws fairly among it."""

import math
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism import streams, tables
from prism.errors import InputError
from prism.scheduler import embedded
from prism.scheduler.embedded import Matching, Placements, Queue

RANDOMS = st.randoms(use_true_random=False)
ROUND = tables.SCHEMAS["round"].names


def reference(jobs, clusters, outcomes, subsystems) -> dict[str, tuple[list[str], float]]:
    """Matches of every job, and the mean outcome over them."""
    chances = {(row["group"], row["cluster"]): row["probability"] for row in outcomes.to_pylist()}
    wanted: dict[str, tuple[str, dict]] = {}
    for row in jobs.to_pylist():
        _, required = wanted.setdefault(row["job"], (row["group"], {}))
        if row["subsystem"] in subsystems:
            required[row["feature"]] = row["value"]
    found = {}
    for job, (group, required) in wanted.items():
        matches = []
        for row in clusters.to_pylist():
            if all(row[feature] == value for feature, value in required.items()):
                matches.append(row["cluster"])
        total = math.fsum(chances[group, cluster] for cluster in matches)
        found[job] = matches, total / max(len(matches), 1)
    return found


def placed(
    queue: Queue, subsystems: list[str], seed: int = 3, matching: Matching | None = None
) -> Placements:
    """A round of its own, from scratch or with one subsystem more than `matching` has."""
    if matching is None:
        matching = Matching(queue)
        new = subsystems
    else:
        new = subsystems[-1:]
    for subsystem in new:
        for requirement in queue.subsystems.get(subsystem, []):
            matching.require(requirement)
    return matching.place(streams.uniform(seed, "+".join(subsystems), streams.keys(queue.jobs)))


def identical(one: Placements, other: Placements) -> bool:
    """Bit for bit."""
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def by_job(queue: Queue, placements: Placements) -> dict[str, tuple]:
    rows = embedded.table(queue, placements).to_pylist()
    return {row["job"]: tuple(row.values()) for row in rows}


def prefixes(rng: random.Random) -> list[list[str]]:
    drawn = ["zlib", "zlib-ng", "m", "no-such"]
    rng.shuffle(drawn)
    return [drawn[:n] for n in range(len(drawn) + 1)]


# ------------------------------------------------------------------------------------ matching


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_matches_and_expectations_are_those_of_plain_loops(study, rng):
    jobs, clusters, outcomes = study(rng)
    chances = {(row["group"], row["cluster"]): row["probability"] for row in outcomes.to_pylist()}
    group_of = dict(zip(jobs["job"].to_pylist(), jobs["group"].to_pylist(), strict=True))
    queue = embedded.queue(jobs, clusters, outcomes)
    for subsystems in prefixes(rng):
        found = by_job(queue, placed(queue, subsystems))
        wanted = reference(jobs, clusters, outcomes, subsystems)
        assert found.keys() == wanted.keys()
        for job, (matches, expected) in wanted.items():
            _, count, cluster, outcome, mean = found[job]
            assert count == len(matches)
            assert mean == pytest.approx(expected, rel=0, abs=1e-12)
            assert (cluster in matches) if matches else (cluster is None)
            assert outcome == (chances[group_of[job], cluster] if matches else 0.0)


@settings(max_examples=150, deadline=None)
@given(RANDOMS)
def test_a_round_is_the_same_from_scratch_incrementally_and_compacted(study, rng):
    queue = embedded.queue(*study(rng))
    grown, compacted = Matching(queue), Matching(queue)
    for subsystems in prefixes(rng):
        scratch = placed(queue, subsystems)
        assert identical(placed(queue, subsystems, matching=grown), scratch)
        compacted._room = 0
        assert identical(placed(queue, subsystems, matching=compacted), scratch)
    assert len(compacted.count) <= len(grown.count)


def test_compaction_happens_by_itself_and_is_not_seen(study, monkeypatch):
    """A set that has shrunk to nothing, and sets that no job has any more, are dropped."""
    dropped = []
    forget = Matching._forget

    def counted(matching: Matching) -> None:
        before = by_set(matching)
        forget(matching)
        assert by_set(matching) == before
        dropped.append(len(before))

    monkeypatch.setattr(Matching, "_forget", counted)
    for seed in range(30):
        queue = embedded.queue(*study(random.Random(seed)))
        matching = Matching(queue)
        for subsystem in queue.subsystems:
            matching._room = 0
            placed(queue, [subsystem], matching=matching)
    assert len(dropped) > 50


def by_set(matching: Matching) -> list[tuple]:
    """What every job's set is."""
    sets = matching.set_of_job
    starts, counts = matching.start[sets], matching.count[sets]
    members = [tuple(matching.members[s : s + n]) for s, n in zip(starts, counts, strict=True)]
    return list(zip(members, matching.group[sets], map(repr, matching.mean[sets]), strict=True))


@settings(max_examples=150, deadline=None)
@given(RANDOMS)
def test_a_job_is_placed_alike_whatever_the_order_and_the_other_jobs(study, rng):
    jobs, clusters, outcomes = study(rng)
    subsystems = rng.choice(prefixes(rng))
    queue = embedded.queue(jobs, clusters, outcomes)
    found = by_job(queue, placed(queue, subsystems))
    order = list(range(len(jobs)))
    rng.shuffle(order)
    turned = outcomes.take(list(range(len(outcomes)))[::-1])
    queue = embedded.queue(jobs.take(order), clusters, turned)
    assert by_job(queue, placed(queue, subsystems)) == found
    some = set(rng.sample(sorted(found), rng.randint(1, len(found))))
    queue = embedded.queue(
        jobs.filter(pa.array([job in some for job in jobs["job"].to_pylist()])), clusters, outcomes
    )
    assert by_job(queue, placed(queue, subsystems)) == {job: found[job] for job in some}


@settings(max_examples=80, deadline=None)
@given(RANDOMS)
def test_the_order_of_subsystems_changes_no_match(study, rng):
    queue = embedded.queue(*study(rng))
    orders = ["zlib", "zlib-ng", "m"], ["m", "zlib-ng", "zlib"]
    one, other = (placed(queue, order) for order in orders)
    assert one.matches.tolist() == other.matches.tolist()
    assert one.expected.tobytes() == other.expected.tobytes()


def test_without_metadata_the_expectation_is_the_mean_outcome(study):
    jobs, clusters, outcomes = study(random.Random(8))
    queue = embedded.queue(jobs, clusters, outcomes)
    placements = placed(queue, [])
    assert (placements.matches == len(clusters)).all()
    for group, expected in zip(queue.groups, placements.expected, strict=True):
        assert expected == pytest.approx(queue.outcomes[group].mean(), rel=0, abs=1e-12)


# --------------------------------------------------------------------------------------- draws


def chi_square(counts: Counter, kinds: int) -> float:
    """Deviations from equal shares, as a standard normal number (Wilson and Hilferty, 1931)."""
    mean = counts.total() / kinds
    value = sum((count - mean) ** 2 for count in counts.values()) / mean
    value += (kinds - len(counts)) * mean  # kinds that never occurred
    free = kinds - 1
    return ((value / free) ** (1 / 3) - 1 + 2 / (9 * free)) / math.sqrt(2 / (9 * free))


def alike(jobs: int, clusters: int, matching: int) -> Queue:
    """Jobs of which each matches the same clusters, some of those that there are."""
    names = [f"c{n}" for n in range(clusters)]
    values = ["yes" if n % clusters < matching else "no" for n in range(clusters)]
    random.Random(1).shuffle(values)
    row = {"group": "g", "subsystem": "a", "feature": "a-os", "value": "yes"}
    rows = {"job": [f"job-{n}" for n in range(jobs)]}
    rows |= {name: [text] * jobs for name, text in row.items()}
    outcomes = {"group": ["g"] * clusters, "cluster": names, "probability": [0.5] * clusters}
    return embedded.queue(
        tables.table("jobs", rows),
        tables.table("clusters", {"cluster": names, "a-os": values}),
        tables.table("outcomes", outcomes),
    )


@pytest.mark.parametrize(("clusters", "matching"), [(7, 7), (50, 13), (1_000, 128)])
def test_every_match_is_drawn_equally_often(clusters, matching):
    queue = alike(40_000, clusters, matching)
    for seed in (1, 2, 3):
        draws = placed(queue, ["a"], seed).cluster
        assert abs(chi_square(Counter(draws.tolist()), matching)) < 4
        pairs = zip(draws[::2].tolist(), draws[1::2].tolist(), strict=True)
        if matching < 20:
            assert abs(chi_square(Counter(pairs), matching**2)) < 4


def test_draws_of_one_job_in_several_rounds_are_independent():
    queue = alike(1, 5, 5)
    matching, keys = Matching(queue), streams.keys(queue.jobs)
    draws = [
        int(matching.place(streams.uniform(3, f"cumulative-1-{n:03d}", keys)).cluster[0])
        for n in range(8_000)
    ]
    assert abs(chi_square(Counter(draws), 5)) < 4
    assert abs(chi_square(Counter(zip(draws[::2], draws[1::2], strict=True)), 25)) < 4


@pytest.mark.parametrize("matching", [1, 2, 3, 5, 7, 999, 1_000])
def test_the_ends_of_the_numbers_drawn_from_are_within_the_matches(matching):
    queue = alike(3, 1_000, matching)
    round_ = Matching(queue)
    round_.require(queue.subsystems["a"][0])
    drawn = round_.place(np.array([0.0, 0.5, 1 - 2**-53])).cluster
    members = np.flatnonzero(queue.subsystems["a"][0].offered == queue.subsystems["a"][0].values[0])
    assert drawn.tolist() == [members[0], members[matching // 2], members[-1]]


# -------------------------------------------------------------------------------------- tables


def test_the_round_table(study, tmp_path):
    jobs, clusters, outcomes = study(random.Random(4))
    queue = embedded.queue(jobs, clusters, outcomes)
    found = embedded.table(queue, placed(queue, ["zlib", "zlib-ng", "m"]))
    tables.write(tmp_path / "round.parquet", "round", found)
    rows = tables.read(tmp_path / "round.parquet", "round").to_pylist()
    assert [row["job"] for row in rows] == list(dict.fromkeys(jobs["job"].to_pylist()))
    assert {row["cluster"] is None for row in rows} == {True, False}
    for row in rows:
        if row["cluster"] is None:
            assert (row["matches"], row["outcome"], row["expected"]) == (0, 0.0, 0.0)


def one(feature: str = "a-os", value: str | None = "1", **changed) -> dict[str, pa.Table]:
    """One job, two clusters and their outcomes; some columns changed."""
    columns = {
        "jobs": {"job": ["j"], "group": ["g"], "subsystem": ["a"], "feature": [feature],
                 "value": [value]},
        "clusters": {"cluster": ["c1", "c2"], "a-os": ["1", "2"]},
        "outcomes": {"group": ["g", "g"], "cluster": ["c1", "c2"], "probability": [0.25, 0.75]},
    }  # fmt: skip
    for name, change in changed.items():
        columns[name] |= change
    return {name: tables.table(name, columns[name]) for name in columns}


@pytest.mark.parametrize(
    ("given_tables", "says"),
    [
        (one("b-os"), "jobs require b-os, a feature that no cluster carries"),
        (one(jobs={"group": ["h"]}), "outcomes: 'h' is not in list: expected every group"),
        (one(clusters={"cluster": ["c1", "c3"]}), "outcomes: 'c3' is not in list"),
        (one(outcomes={"group": ["g", "h"]}), "outcomes: none for g on c2"),
        (one(outcomes={"probability": [None, 0.5]}), "outcomes: none for g on c1"),
    ],
)
def test_tables_that_do_not_fit_are_refused(given_tables, says):
    with pytest.raises(InputError, match=f"^{says}"):
        embedded.queue(**given_tables)


def test_outcomes_of_other_groups_and_clusters_do_not_matter():
    more = {"group": ["h", "g", "g", "g"], "cluster": ["c1", "c9", "c2", "c1"],
            "probability": [0.9, 0.9, 0.75, 0.25]}  # fmt: skip
    queues = [embedded.queue(**one()), embedded.queue(**one(outcomes=more))]
    first, second = (by_job(queue, placed(queue, ["a"])) for queue in queues)
    assert first == second == {"j": ("j", 1, "c1", 0.25, 0.25)}


def test_a_cluster_without_the_feature_does_not_match_a_value_that_no_cluster_has():
    """As none of the two values is known, they are not the same."""
    queue = embedded.queue(**one(value="9", clusters={"a-os": ["1", None]}))
    assert by_job(queue, placed(queue, ["a"])) == {"j": ("j", 0, None, 0.0, 0.0)}


def test_a_requirement_without_a_value_is_refused():
    with pytest.raises(InputError):
        embedded.queue(**one(value=None))


@pytest.mark.parametrize(
    "twice",
    [
        {"value": ["1", "2"]},  # of one feature
        {"value": ["1", "1"], "group": ["g", "h"]},
    ],
)
def test_a_job_that_contradicts_itself_is_refused(twice):
    rows = {"job": ["j"] * 2, "group": ["g"] * 2, "subsystem": ["a"] * 2, "feature": ["a-os"] * 2}
    outcomes = {"group": ["g", "g", "h", "h"], "cluster": ["c1", "c2"] * 2,
                "probability": [0.1, 0.2, 0.3, 0.4]}  # fmt: skip
    with pytest.raises(InputError):
        embedded.queue(**one(jobs=rows | twice, outcomes=outcomes))
