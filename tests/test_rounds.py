"""The plan of rounds, and that a round is the same whatever other rounds are run before it."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism import rounds, tables
from prism.scheduler import embedded

SUBSYSTEMS = ["m", "zlib", "zlib-ng", "9base", "kokkos-kernels"]


def planned(orders: int = 1, seed: int = 3, subsystems: list[str] = SUBSYSTEMS) -> list[dict]:
    return rounds.plan(subsystems, orders, seed).to_pylist()


# ---------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize("orders", [0, 1, 4])
def test_the_plan_adds_one_subsystem_a_round(orders):
    none, *rest = planned(orders)
    assert none == {"round": "none", "plan": "none", "order": None, "position": 0, "added": None,
                    "subsystems": []}  # fmt: skip
    assert len(rest) == orders * len(SUBSYSTEMS)
    for order in range(orders):
        own = rest[order * len(SUBSYSTEMS) : (order + 1) * len(SUBSYSTEMS)]
        drawn = [row["added"] for row in own]
        assert sorted(drawn) == sorted(SUBSYSTEMS)
        for position, row in enumerate(own, 1):
            assert row == {
                "round": f"cumulative-{order + 1}-{position:03d}", "plan": "cumulative",
                "order": order + 1, "position": position, "added": drawn[position - 1],
                "subsystems": drawn[:position]}  # fmt: skip


def test_ids_are_unique_safe_and_in_order():
    ids = [row["round"] for row in planned(12, subsystems=[f"s{n}" for n in range(118)])]
    assert len(set(ids)) == len(ids) == 1 + 12 * 118
    assert all(re.fullmatch(r"none|cumulative-\d+-\d{3}", name) for name in ids)
    own = [name for name in ids if name.startswith("cumulative-7-")]
    assert own == sorted(own)


def test_orders_are_drawn_from_the_seed_alone():
    assert planned(3) == planned(3, subsystems=SUBSYSTEMS[::-1])
    assert planned(2) == planned(3)[: 1 + 2 * len(SUBSYSTEMS)]  # more orders leave the first ones
    full = [f"s{n}" for n in range(40)]
    drawn = {tuple(planned(1, seed, full)[-1]["subsystems"]) for seed in range(20)}
    drawn |= {tuple(row["subsystems"]) for row in planned(9, 0, full) if row["position"] == 40}
    assert len(drawn) == 20 + 9 - 1
    assert tuple(full) not in drawn


def test_every_order_is_drawn_equally_often():
    first = [row["added"] for row in planned(3_000) if row["position"] == 1]
    assert all(500 < first.count(name) < 700 for name in SUBSYSTEMS)  # 600 +- 22


def test_without_subsystems_there_is_one_round():
    assert [row["round"] for row in planned(3, subsystems=[])] == ["none"]


def test_the_plan_can_be_written(tmp_path):
    plan = rounds.plan(SUBSYSTEMS, 2, 1)
    tables.write(tmp_path / "rounds.parquet", "rounds", plan)
    assert tables.read(tmp_path / "rounds.parquet", "rounds").equals(plan)


# ----------------------------------------------------------------------------------------- run


def run(queue: embedded.Queue, chosen: list[tuple[str, list[str]]]) -> dict[str, tuple]:
    """Bits of every round."""
    found = list(rounds.run(queue, chosen, 3))
    assert [name for name, _ in found] == [name for name, _ in chosen]
    return {name: tuple(array.tobytes() for array in placements) for name, placements in found}


@settings(max_examples=120, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_round_is_the_same_whatever_is_run_before_it(study, rng: random.Random):
    queue = embedded.queue(*study(rng))
    plan = rounds.plan(["zlib", "zlib-ng", "m", "no-such"], 2, rng.randrange(9)).to_pylist()
    all_rounds = [(row["round"], row["subsystems"]) for row in plan]
    all_rounds += [(f"single-{name}", [name]) for name in ("m", "zlib")]
    alone = {}
    for one in all_rounds:
        alone |= run(queue, [one])
    assert run(queue, all_rounds) == alone
    for per_job in (2, 3, 5):
        for start in range(0, len(all_rounds), per_job):
            batch = all_rounds[start : start + per_job]
            assert run(queue, batch) == {name: alone[name] for name, _ in batch}
    rng.shuffle(all_rounds)
    assert run(queue, all_rounds) == alone


def test_other_rounds_and_other_seeds_draw_otherwise(study):
    """On the same matches."""
    queue = embedded.queue(*study(random.Random(11)))
    assert len(queue.clusters) > 3
    draws = {
        seed: {
            name: tuple(p.cluster) for name, p in rounds.run(queue, [("a", []), ("b", [])], seed)
        }
        for seed in (1, 2)
    }
    assert len({draws[seed][name] for seed in (1, 2) for name in "ab"}) == 4


def test_no_round_is_no_work(study):
    assert list(rounds.run(embedded.queue(*study(random.Random(1))), [], 1)) == []
