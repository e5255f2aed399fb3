"""What jobs require equals what a few dictionaries give."""

import json

import pyarrow as pa
import pytest

from prism import tables
from prism.features import PROPERTIES, extract, packages
from prism.jobs import requirements

DEFAULT = ("version", "compiler_version")


def by_dictionaries(builds, nodes, modelled, clusters, properties, variants=()) -> list[tuple]:
    """Rows of the jobs table, by plain Python."""
    stated: dict[str, dict[str, tuple]] = {}
    for row in nodes.to_pylist():
        texts = {name: row[name] for name in properties}
        texts |= {f"variant_{name}": json.loads(row["variants"]).get(name) for name in variants}
        for name, text in texts.items():
            feature = f"{row['node']}-{name}"
            stated.setdefault(row["build"], {})[feature] = (row["node"], feature, text)
    rows = []
    for build in builds.to_pylist():
        if build["package"] in modelled:
            required = [
                required
                for feature, required in sorted(stated.get(build["build"], {}).items())
                if feature in clusters and required[2] is not None
            ]
            for one in required or [(None, None, None)]:
                rows.append((build["build"], build["package"], *one))
    return rows


def rows_of(jobs: pa.Table) -> list[tuple]:
    return list(zip(*(jobs[name].to_pylist() for name in jobs.column_names), strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_jobs_equal_those_by_dictionaries(records, seed):
    builds, nodes = records(seed)
    listed = packages(builds, 3)
    modelled = {row["package"] for row in listed.to_pylist() if row["reason"] is None}
    for properties, variants in ((DEFAULT, ()), (PROPERTIES, ("a", "b")), ((), ("a",))):
        features = set()
        for package in modelled:
            features |= set(extract(builds, nodes, package, properties, variants).column_names[2:])
        for clusters in (sorted(features), sorted(features)[::2], [], ["zlib-version", "no-such"]):
            found = requirements(builds, nodes, listed, clusters, properties, variants)
            wanted = by_dictionaries(builds, nodes, modelled, clusters, properties, variants)
            assert rows_of(found) == wanted


def small(*node_rows: tuple[str, str, str | None]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Builds of package v, nodes as given (build, node, version) and the packages table."""
    builds = sorted({build for build, _, _ in node_rows})
    columns = {"build": builds, "package": ["v"] * len(builds), "version": ["1"] * len(builds),
               "success": [True] * len(builds), "reason": [None] * len(builds)}  # fmt: skip
    nodes = {name: [None] * len(node_rows) for name in tables.SCHEMAS["nodes"].names}
    for position, name in enumerate(("build", "node", "version")):
        nodes[name] = [row[position] for row in node_rows]
    built = tables.table("builds", columns)
    return built, tables.table("nodes", nodes), packages(built, 1)


def test_what_is_constant_within_the_package_is_required_too():
    found = requirements(
        *small(("b1", "zlib", "1"), ("b2", "zlib", "1")), ["zlib-version"], DEFAULT
    )
    required = ("v", "zlib", "zlib-version", "1")
    assert rows_of(found) == [("b1", *required), ("b2", *required)]


def test_a_job_that_requires_nothing_has_one_row():
    found = requirements(
        *small(("b1", "zlib", "1"), ("b2", "other", "1")), ["zlib-version"], DEFAULT
    )
    assert rows_of(found)[1:] == [("b2", "v", None, None, None)]


@pytest.mark.parametrize("later", ["3", None])
def test_of_two_nodes_of_one_name_the_later_counts(later):
    """As in the features table, also where the later one doesn't state the property."""
    records = small(("b1", "zlib", "1"), ("b1", "zlib", later))
    required = ("zlib", "zlib-version", later) if later else (None, None, None)
    assert rows_of(requirements(*records, ["zlib-version"], DEFAULT)) == [("b1", "v", *required)]


def test_builds_of_packages_without_a_model_are_no_jobs():
    builds, nodes, _ = small(("b1", "zlib", "1"), ("b2", "zlib", "2"))
    found = requirements(builds, nodes, packages(builds, 3), ["zlib-version"], DEFAULT)
    assert len(found) == 0


def test_jobs_can_be_written(tmp_path, records):
    builds, nodes = records(5)
    found = requirements(builds, nodes, packages(builds, 1), ["zlib-version"], DEFAULT)
    tables.write(tmp_path / "jobs.parquet", "jobs", found)
    assert rows_of(tables.read(tmp_path / "jobs.parquet", "jobs")) == rows_of(found)
