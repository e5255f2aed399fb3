"""Scores equal those that plain loops add up."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism import rounds, scores, tables
from prism.errors import InputError
from prism.scheduler import embedded

ABOUT = 1e-12


def run(study, rng: random.Random) -> tuple:
    """Rounds, placements, jobs and outcomes of a small study."""
    jobs, clusters, outcomes = (table.unify_dictionaries() for table in study(rng))
    plan = rounds.plan(["zlib", "zlib-ng", "m"], rng.randrange(3), 5)
    queue = embedded.queue(jobs, clusters, outcomes)
    chosen = [(row["round"], row["subsystems"]) for row in plan.to_pylist()]
    placements = [embedded.table(queue, done) for _, done in rounds.run(queue, chosen, 5)]
    return plan, placements, jobs, outcomes


def same(found: list[dict], wanted: list[dict]) -> None:
    """Texts and counts equal, sums to 1e-12."""
    assert len(found) == len(wanted)
    for row, other in zip(found, wanted, strict=True):
        assert list(row) == list(other)
        for name, value in other.items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=ABOUT, abs=ABOUT), name
            else:
                assert row[name] == value, name


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_scores_equal_those_of_plain_loops(study, rng):
    plan, placements, jobs, outcomes = run(study, rng)
    group_of = dict(zip(jobs["job"].to_pylist(), jobs["group"].to_pylist(), strict=True))
    best: dict[str, float] = {}
    for row in outcomes.to_pylist():
        best[row["group"]] = max(best.get(row["group"], 0.0), row["probability"])
    clusters = list(dict.fromkeys(outcomes["cluster"].to_pylist()))
    by_package, by_cluster = [], []
    for planned, placed in zip(plan.to_pylist(), placements, strict=True):
        planned.pop("subsystems")
        rows = placed.to_pylist()
        for package in [None, *dict.fromkeys(jobs["group"].to_pylist())]:
            own = [row for row in rows if package in (None, group_of[row["job"]])]
            outcome = sum(row["outcome"] for row in own)
            expected = sum(row["expected"] for row in own)
            by_package.append(
                planned
                | {
                    "package": package,
                    "jobs": len(own),
                    "placed": sum(row["cluster"] is not None for row in own),
                    "matches": sum(row["matches"] for row in own),
                    "outcome": float(outcome),
                    "expected": float(expected),
                    "ceiling": float(sum(best[group_of[row["job"]]] for row in own)),
                    "score": expected / len(own),
                    "drawn_score": outcome / len(own),
                }
            )
        for cluster in clusters:
            own = [row for row in rows if row["cluster"] == cluster]
            by_cluster.append(
                {
                    "round": planned["round"],
                    "cluster": cluster,
                    "jobs": len(own),
                    "outcome": float(sum(row["outcome"] for row in own)),
                    "possible": float(sum(best[group_of[row["job"]]] for row in own)),
                }
            )
    found = scores.score(plan, iter(placements), jobs, outcomes)
    same(found[0].to_pylist(), by_package)
    same(found[1].to_pylist(), by_cluster)


def test_scores_can_be_written_and_hold_together(study, tmp_path):
    plan, placements, jobs, outcomes = run(study, random.Random(2))
    by_package, by_cluster = scores.score(plan, placements, jobs, outcomes)
    for name, table in (("scores", by_package), ("cluster_scores", by_cluster)):
        tables.write(tmp_path / name, name, table)
        assert tables.read(tmp_path / name, name).to_pylist() == table.to_pylist()
    for row in by_package.to_pylist():
        assert row["outcome"] <= row["ceiling"] + ABOUT
        assert row["expected"] <= row["ceiling"] + ABOUT
        assert row["placed"] <= min(row["jobs"], row["matches"])
    for name in plan["round"].to_pylist():
        whole = next(row for row in by_package.to_pylist() if row["round"] == name)
        own = [row for row in by_cluster.to_pylist() if row["round"] == name]
        assert sum(row["jobs"] for row in own) == whole["placed"]
        assert sum(row["outcome"] for row in own) == pytest.approx(whole["outcome"], abs=ABOUT)


def test_nobody_placed_scores_nothing(study):
    """A cluster that received no job has a row all the same."""
    jobs, clusters, outcomes = (table.unify_dictionaries() for table in study(random.Random(6)))
    nowhere = clusters.set_column(1, "zlib-version", tables.coded([0] * len(clusters), ["none"]))
    group_of = dict(zip(jobs["job"].to_pylist(), jobs["group"].to_pylist(), strict=True))
    required = [(*job, "zlib", "zlib-version", "1") for job in group_of.items()]
    names = tables.SCHEMAS["jobs"].names
    jobs = tables.table("jobs", dict(zip(names, zip(*required, strict=True), strict=True)))
    queue = embedded.queue(jobs, nowhere, outcomes)
    plan = rounds.plan(["zlib"], 1, 1).slice(1)
    ((_, done),) = rounds.run(queue, [("x", ["zlib"])], 1)
    by_package, by_cluster = scores.score(plan, [embedded.table(queue, done)], jobs, outcomes)
    for row in by_package.to_pylist():
        assert (row["placed"], row["matches"], row["score"], row["drawn_score"]) == (0, 0, 0.0, 0.0)
        assert row["ceiling"] > 0
    assert len(by_cluster) == len(clusters)
    assert set(by_cluster["jobs"].to_pylist()) == {0}


def test_a_round_of_other_jobs_is_refused(study):
    plan, placements, jobs, outcomes = run(study, random.Random(2))
    for other in (
        placements[0].slice(1),
        placements[0].take(list(range(len(placements[0])))[::-1]),
    ):
        with pytest.raises(InputError, match=r"^round none has other jobs than the jobs table"):
            scores.score(plan, [other, *placements[1:]], jobs, outcomes)


def test_tables_in_pieces_score_as_whole_ones(study):
    """Each piece of a parquet file may have a dictionary of its own."""
    plan, placements, jobs, outcomes = run(study, random.Random(5))
    assert len(outcomes["group"].unique()) > 1
    wanted = scores.score(plan, placements, jobs, outcomes)
    parts = [outcomes.take([n]).to_pylist()[0] for n in range(len(outcomes))]
    in_pieces = pa.concat_tables(
        tables.table("outcomes", {name: [row[name]] for name in row}) for row in parts
    )
    for found, table in zip(scores.score(plan, placements, jobs, in_pieces), wanted, strict=True):
        assert found.to_pylist() == table.to_pylist()


def test_outcomes_that_lack_a_group_are_refused(study):
    plan, placements, jobs, outcomes = run(study, random.Random(2))
    with pytest.raises(InputError):
        scores.score(plan, placements, jobs, outcomes.slice(0, 0))
