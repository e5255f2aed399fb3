"""Features equal those that a few dictionaries give."""

import json

import pyarrow as pa
import pytest

from prism import tables
from prism.errors import InputError
from prism.features import PROPERTIES, extract, packages

NODE = {"compiler": "gcc", "compiler_version": "9", "target": "broadwell", "os": "rhel7",
        "platform": "linux", "variants": "{}"}  # fmt: skip


def builds_of(*rows: tuple[str, str]) -> pa.Table:
    return tables.table(
        "builds",
        {
            "build": [build for build, _ in rows],
            "package": [package for _, package in rows],
            "version": ["1"] * len(rows),
            "success": [True] * len(rows),
            "reason": [None] * len(rows),
        },
    )


def nodes_of(*rows: dict[str, str | None]) -> pa.Table:
    rows = [NODE | row for row in rows]
    return tables.table(
        "nodes", {name: [row[name] for row in rows] for name in tables.SCHEMAS["nodes"].names}
    )


def by_dictionaries(builds, nodes, package, properties, variants=()) -> dict[str, list]:
    """Features table as a dictionary of columns, by plain Python."""
    own = [row for row in builds.to_pylist() if row["package"] == package]
    columns: dict[str, dict] = {}
    for row in nodes.to_pylist():
        stated = {name: row[name] for name in properties}
        stated |= {f"variant_{name}": json.loads(row["variants"]).get(name) for name in variants}
        for name, value in stated.items():
            columns.setdefault(f"{row['node']}-{name}", {})[row["build"]] = value
    table = {name: [row[name] for row in own] for name in ("build", "success")}
    for name in sorted(columns):
        column = [columns[name].get(row["build"]) for row in own]
        if len(set(column) - {None}) > 1:
            table[name] = column
    return table


# ------------------------------------------------------------------------------------ features


@pytest.mark.parametrize("seed", range(60))
def test_features_equal_those_by_dictionaries(records, seed):
    builds, nodes = records(seed)
    for package in builds["package"].unique().to_pylist():
        for properties, variants in (
            (("version", "compiler_version"), ()),
            (PROPERTIES, ("a", "b", "no-such")),
            ((), ("b",)),
        ):
            found = extract(builds, nodes, package, properties, variants)
            wanted = by_dictionaries(builds, nodes, package, properties, variants)
            assert found.to_pydict() == wanted
            assert found.column_names == list(wanted)
            for name in found.column_names[2:]:  # nothing but the values, in an order of their own
                offered = found[name].combine_chunks().dictionary.to_pylist()
                assert offered == sorted(set(wanted[name]) - {None})


def test_a_features_table_can_be_written(tmp_path, records):
    builds, nodes = records(3)
    found = extract(builds, nodes, "velora", PROPERTIES, ["a"])
    assert len(found.column_names) > 4
    tables.write(tmp_path / "velora.parquet", "features", found)
    assert tables.read(tmp_path / "velora.parquet", "features").equals(found)


def test_a_feature_with_one_value_is_dropped_and_null_is_no_value():
    builds = builds_of(("b1", "v"), ("b2", "v"), ("b3", "other"))
    nodes = nodes_of(
        {"build": "b1", "node": "v", "version": "1.9"},
        {"build": "b2", "node": "v", "version": "1.10"},
        {"build": "b1", "node": "zlib", "version": "1", "compiler": None},  # b2 has none
        {"build": "b3", "node": "zlib", "version": "2"},  # another package's build
    )
    found = extract(builds, nodes, "v", ["version", "compiler"])
    assert found.to_pydict() == {
        "build": ["b1", "b2"], "success": [True, True], "v-version": ["1.9", "1.10"]}  # fmt: skip


def test_versions_are_told_apart_as_text():
    builds = builds_of(("b1", "v"), ("b2", "v"))
    nodes = nodes_of(
        {"build": "b1", "node": "v", "version": "1.1"},
        {"build": "b2", "node": "v", "version": "1.10"},
    )
    assert extract(builds, nodes, "v", ["version"])["v-version"].to_pylist() == ["1.1", "1.10"]


@pytest.mark.parametrize("later", ["3", None])
def test_of_two_nodes_of_one_name_the_later_counts(later):
    """Also where the later one doesn't state the property."""
    builds = builds_of(("b1", "v"), ("b2", "v"), ("b3", "v"))
    nodes = nodes_of(
        {"build": "b1", "node": "zlib", "version": "1"},
        {"build": "b2", "node": "zlib", "version": "2"},
        {"build": "b3", "node": "zlib", "version": "1"},
        {"build": "b3", "node": "zlib", "version": later},
    )
    found = extract(builds, nodes, "v", ["version"])
    assert found["zlib-version"].to_pylist() == ["1", "2", later]


def test_whole_names_make_features():
    """`kokkos` is not `kokkos-kernels`."""
    builds = builds_of(("b1", "v"), ("b2", "v"))
    nodes = nodes_of(
        *({"build": "b1", "node": name, "version": "1"} for name in ("kokkos", "kokkos-kernels")),
        *({"build": "b2", "node": name, "version": "2"} for name in ("kokkos", "kokkos-kernels")),
    )
    assert extract(builds, nodes, "v", ["version"]).column_names[2:] == [
        "kokkos-kernels-version", "kokkos-version"]  # fmt: skip


def test_a_package_without_varying_features_has_none():
    found = extract(builds_of(("b1", "v")), nodes_of({"build": "b1", "node": "v", "version": "1"}),
                    "v", PROPERTIES)  # fmt: skip
    assert found.to_pydict() == {"build": ["b1"], "success": [True]}


def test_variants_that_a_node_does_not_state_are_null():
    """A nodes table may have null variants, as every other property."""
    builds = builds_of(("b1", "v"), ("b2", "v"), ("b3", "v"))
    variants = {"b1": '{"pic": "true"}', "b2": '{"pic": "false"}', "b3": None}
    nodes = nodes_of(
        *({"build": b, "node": "v", "version": "1", "variants": v} for b, v in variants.items())
    )
    found = extract(builds, nodes, "v", ["version"], ["pic"])
    assert found["v-variant_pic"].to_pylist() == ["true", "false", None]


def test_a_package_without_builds_is_refused():
    with pytest.raises(InputError, match=r"^package nosuch: no builds"):
        extract(builds_of(("b1", "v")), nodes_of({"build": "b1", "node": "v", "version": "1"}),
                "nosuch", PROPERTIES)  # fmt: skip


# ------------------------------------------------------------------------------------ packages


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("min_builds", [1, 3, 5, 99])
def test_packages_equal_plain_counts(records, seed, min_builds):
    builds, _ = records(seed)
    rows = builds.to_pylist()
    found = packages(builds, min_builds).to_pylist()
    assert [row["package"] for row in found] == sorted({row["package"] for row in rows})
    for row in found:
        own = [build["success"] for build in rows if build["package"] == row["package"]]
        assert (row["builds"], row["successes"]) == (len(own), sum(own))
        few = f"fewer than {min_builds} builds"
        assert row["reason"] == (few if len(own) < min_builds else None)


def test_packages_of_some_of_the_builds_only():
    """The dictionary of a filtered column still holds what was filtered away."""
    builds = builds_of(("b1", "v"), ("b2", "w"))
    assert packages(builds.slice(0, 1), 1)["package"].to_pylist() == ["v"]
