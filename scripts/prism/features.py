"""Nodes become features: what varies between the environments of one package's builds."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prism import tables
from prism.errors import InputError

PROPERTIES = ("version", "compiler", "compiler_version", "target", "os", "platform")


def packages(builds: pa.Table, min_builds: int) -> pa.Table:
    """Count the builds of every package and say which of them get a model.

    Parameters
    ----------
    builds : pyarrow.Table
        The builds table.
    min_builds : int
        A package needs as many builds for a model.

    Returns
    -------
    pyarrow.Table
        The packages table, ordered by name.
    """
    names, code = tables.codes(builds["package"])
    counts = np.bincount(code, minlength=len(names))
    successes = np.bincount(code, builds["success"].to_numpy(), minlength=len(names))
    large = counts >= min_builds
    reason = f"fewer than {min_builds} builds"
    order = np.argsort(names)
    return tables.table(
        "packages",
        {
            "package": [names[i] for i in order],
            "builds": counts[order],
            "successes": successes[order].astype(int),
            "reason": [None if large[i] else reason for i in order],
        },
    )


def extract(
    builds: pa.Table,
    nodes: pa.Table,
    package: str,
    properties: Sequence[str],
    variants: Sequence[str] = (),
) -> pa.Table:
    """Features of the builds of one package.

    Parameters
    ----------
    builds, nodes : pyarrow.Table
        The tables of those names.
    package : str
        The package whose builds are wanted.
    properties : sequence of str
        Properties of a node that are features, of `PROPERTIES`.
    variants : sequence of str
        Variants that are features too, as ``<dependency>-variant_<name>``.

    Returns
    -------
    pyarrow.Table
        The features table: a row a build, in the order of `builds`, and a text column for every
        feature that has two or more values among the builds, ordered by name; null = the spec has
        no such node. Where a spec holds two nodes of one name, the later one counts.

    Raises
    ------
    prism.errors.InputError
        If there is no build of the package.
    """
    own = builds.filter(pc.equal(builds["package"].cast(pa.string()), package))
    if not len(own):
        raise InputError(f"package {package}: no builds; expected a package of the builds table")
    rows, of_nodes = nodes_of(own["build"], nodes)
    names, node = tables.codes(of_nodes["node"])
    columns = {"build": own["build"], "success": own["success"]}
    found = {}
    for suffix, column in properties_of(of_nodes, properties, variants):
        values, code = tables.codes(column)
        matrix = np.full((len(names), len(own)), -1)
        matrix[node, rows] = code  # the last assignment of a cell counts
        for name, codes in zip(names, matrix, strict=True):
            if len(np.unique(codes[codes >= 0])) > 1:
                found[f"{name}-{suffix}"] = _compact(codes, values)
    return tables.table("features", columns | dict(sorted(found.items())))


def properties_of(
    nodes: pa.Table, properties: Sequence[str], variants: Sequence[str]
) -> Iterator[tuple[str, pa.ChunkedArray | pa.Array]]:
    """Columns of the nodes that become features, each with what its features' names end in."""
    for name in properties:
        yield name, nodes[name]
    if variants:
        texts, code = tables.codes(nodes["variants"])
        parsed = [json.loads(text) for text in [*texts, "{}"]]  # code -1: no variants are stated
        for variant in variants:
            values = pa.array([one.get(variant) for one in parsed], pa.string())
            yield f"variant_{variant}", values.take(pa.array(code % len(parsed)))


def nodes_of(builds: pa.ChunkedArray, nodes: pa.Table) -> tuple[np.ndarray, pa.Table]:
    """The nodes of these builds, and for each of them where its build stands in `builds`."""
    row = pc.index_in(nodes["build"].cast(pa.string()), value_set=builds.combine_chunks())
    return row.drop_null().to_numpy().astype(np.int64), nodes.filter(row.is_valid())


def _compact(codes: np.ndarray, values: list[str]) -> pa.DictionaryArray:
    """Text column from codes, whose dictionary holds the values that occur, sorted."""
    used = sorted(values[code] for code in np.unique(codes[codes >= 0]))
    place = {value: number for number, value in enumerate(used)}
    recode = np.array([place.get(value, -1) for value in [*values, None]])
    return tables.coded(recode[codes], used)
