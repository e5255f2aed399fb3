"""Streams depend on their seed and their names, and on nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.streams import keys, stream, uniform

ROOT = Path(__file__).parents[1]
PERMUTATION = [6, 0, 3, 4, 2, 1, 7, 5]
UNIFORM = [0.9831334802133916, 0.4382721617545454]


def test_a_stream_is_the_same_on_every_machine_and_in_every_process():
    """The numbers stand here so that a change of numpy or of the streams is noticed."""
    drawn = stream(7, "clusters", "hdf5-version")
    assert drawn.permutation(8).tolist() == PERMUTATION
    assert uniform(7, "none", keys(["a", "b"])).tolist() == UNIFORM
    code = (
        "from prism.streams import *; print(stream(7, 'clusters', 'hdf5-version').permutation(8)"
        ".tolist(), uniform(7, 'none', keys(['a', 'b'])).tolist())"
    )
    for seed in ("0", "1"):  # of Python's own hashes
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "scripts")},
        )  # fmt: skip
        assert done.stdout.strip() == f"{PERMUTATION} {UNIFORM}"


def test_streams_of_other_names_or_seeds_differ():
    names = [("a",), ("b",), ("a", "b"), ("ab",), ("b", "a"), ("a", 1), ("a", 2), ("a", "b", "")]
    first = {
        tuple(stream(seed, *name).integers(2**62, size=2)) for name in names for seed in (0, 1)
    }
    assert len(first) == 2 * len(names)
    assert stream(3, "a", 1).random() == stream(3, "a", "1").random()


@pytest.mark.parametrize("seed", [0, 2**31, 2**63, 2**64, 10**30])
def test_any_seed_from_0_on_will_do(seed):
    assert stream(seed, "a").random() == stream(seed, "a").random()
    assert 0 <= uniform(seed, "a", keys(["x"]))[0] < 1


def test_drawing_from_one_stream_leaves_another_as_it_is():
    wanted = stream(1, "b").random(5)
    other = stream(1, "a")
    other.random(1_000)
    assert (stream(1, "b").random(5) == wanted).all()


@given(st.lists(st.text(), max_size=20))
def test_a_key_depends_on_its_name_alone(names):
    found = keys(names)
    assert found.dtype == np.uint64
    assert found.shape == (len(names),)
    for name, key in zip(names, found, strict=True):
        assert keys([name])[0] == key
    assert len(set(found.tolist())) == len(set(names))


def test_a_number_depends_on_its_key_alone():
    of = keys([f"job-{n}" for n in range(50)])
    numbers = uniform(3, "none", of)
    assert (uniform(3, "none", of[::-1]) == numbers[::-1]).all()
    assert (uniform(3, "none", of[7:9]) == numbers[7:9]).all()
    assert len(set(numbers)) == 50
    before = of.copy()
    uniform(3, "none", of)
    assert (of == before).all()


def test_numbers_are_spread_evenly_and_rounds_are_independent():
    """Also of keys that follow each other, which no hash has mixed."""
    hashed = keys([f"job-{n}" for n in range(100_000)])
    for of in (hashed, np.arange(100_000, dtype=np.uint64)):
        rounds = np.array([uniform(3, f"cumulative-1-{n:03d}", of) for n in range(6)])
        assert ((rounds >= 0) & (rounds < 1)).all()
        assert np.abs(rounds.mean(axis=1) - 0.5).max() < 5 * 12**-0.5 / 100_000**0.5
        counts = np.array([np.bincount((row * 100).astype(int), minlength=100) for row in rounds])
        chi_square = ((counts - 1_000) ** 2 / 1_000).sum(axis=1)
        assert np.abs(chi_square - 99).max() < 5 * (2 * 99) ** 0.5
        between = np.corrcoef(np.vstack([rounds, rounds[:, 1:2].repeat(100_000, axis=1)])[:6])
        assert np.abs(between - np.eye(6)).max() < 5 / 100_000**0.5
        following = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in rounds]
        assert np.abs(following).max() < 5 / 100_000**0.5
