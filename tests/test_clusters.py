"""Designs of clusters: what is balanced is balanced, and a draw depends on nothing else."""

import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from prism import clusters, tables
from prism.clusters import balanced, names, values
from prism.errors import InputError

NAMES = st.sampled_from(["hdf5-version", "zlib-version", "zlib-compiler_version", "9-os", "a-b-c"])
OFFERED = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=12, unique=True)
FEATURES = st.dictionaries(NAMES, OFFERED, min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(FEATURES, st.integers(1, 120), st.integers(0, 2**63))
@example({"a-version": ["1", "2", "3"]}, 1, 0)
@example({"a-version": ["1", "2", "3"]}, 9, 0)
def test_each_value_occurs_equally_often(offered, count, seed):
    found = balanced(offered, count, seed)
    assert found.column_names == ["cluster", *offered]
    assert len(found) == len(set(found["cluster"].to_pylist())) == count
    for feature, texts in offered.items():
        times = Counter(found[feature].to_pylist())
        assert set(times) <= set(texts)  # no null, no value of another feature
        assert {times[text] for text in texts} <= {count // len(texts), -(-count // len(texts))}
    assert balanced(offered, count, seed).equals(found)


@settings(max_examples=80, deadline=None)
@given(FEATURES, NAMES, OFFERED, st.integers(1, 60), st.integers(0, 99))
def test_a_feature_more_leaves_the_others_as_they_are(offered, name, texts, count, seed):
    fewer = {feature: values for feature, values in offered.items() if feature != name}
    assume(fewer)
    before = balanced(fewer, count, seed)
    for table in (balanced(fewer | {name: texts}, count, seed),
                  balanced({name: texts} | fewer, count, seed)):  # fmt: skip
        assert table.select(before.column_names).equals(before)


def test_a_draw_depends_on_the_seed():
    offered = {"a-version": ["1", "2"], "b-version": ["1", "2"]}
    tables_of_seeds = [balanced(offered, 40, seed).to_pydict() for seed in range(30)]
    for column in ("cluster", "a-version", "b-version"):
        assert len({tuple(table[column]) for table in tables_of_seeds}) == 30
    assert all(table["a-version"] != table["b-version"] for table in tables_of_seeds)


def test_which_values_occur_once_more_is_drawn():
    more = Counter()
    for seed in range(300):
        times = Counter(balanced({"a-version": ["1", "2", "3"]}, 4, seed)["a-version"].to_pylist())
        more[times.most_common(1)[0][0]] += 1
    assert all(70 < more[text] < 130 for text in "123")  # 100 +- 8 at random


def test_places_are_drawn_evenly():
    """Every cluster gets every value; 400 draws of a fair coin stay within 5 deviations."""
    first = Counter()
    for seed in range(400):
        column = balanced({"a-version": ["1", "2"]}, 6, seed)["a-version"].to_pylist()
        first.update(place for place, text in enumerate(column) if text == "1")
    assert all(150 < first[place] < 250 for place in range(6))


def test_clusters_can_be_written(tmp_path):
    found = balanced({"a-version": ["1.10", "9e"]}, 10, 1)
    tables.write(tmp_path / "clusters.parquet", "clusters", found)
    assert tables.read(tmp_path / "clusters.parquet", "clusters").equals(found)


def test_no_feature_is_refused():
    with pytest.raises(InputError, match="no package has a feature"):
        balanced({}, 10, 1)


@pytest.mark.parametrize("count", [0, 1, 1_000, 20_000])
def test_names_are_unique_and_can_be_said(count):
    found = names(count, 7)
    assert len(found) == len(set(found)) == count
    assert all(re.fullmatch(r"[a-z]+-[a-z]+(-[2-9]\d*)?", name) for name in found)
    assert names(count, 7) == found
    assert count < 2 or names(count, 8) != found


def test_more_names_begin_with_the_same():
    assert names(20_000, 7)[:100] == names(100, 7)
    assert not any(name[-1].isdigit() for name in names(1_000, 7))


def test_words_stand_in_the_lists_once():
    for words in (clusters.COLOURS, clusters.ANIMALS):
        assert len(words) == len(set(words))


def test_values_are_those_of_all_packages_sorted():
    first = {"build": ["a", "b"], "success": [True, True], "z-version": ["9", None]}
    second = {"build": ["c", "d"], "success": [True, True], "z-version": ["9", "10"],
              "a-version": ["1", "1.0"]}  # fmt: skip
    given_tables = [tables.table("features", columns) for columns in (first, second)]
    given_tables.append(pa.concat_tables([given_tables[1].slice(0, 1), given_tables[1].slice(1)]))
    assert values(given_tables) == {"a-version": ["1", "1.0"], "z-version": ["10", "9"]}
    assert list(values(given_tables)) == ["a-version", "z-version"]
    assert values([]) == {}
