"""Builds become jobs: what each of them requires of a cluster."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prism import tables
from prism.features import nodes_of, properties_of


def requirements(
    builds: pa.Table,
    nodes: pa.Table,
    packages: pa.Table,
    clusters: Sequence[str],
    properties: Sequence[str],
    variants: Sequence[str] = (),
) -> pa.Table:
    """Every build of a package that has a model is a job.

    It requires the value of every feature that clusters carry and that its spec has, whether or
    not the feature varies within its package.

    Parameters
    ----------
    builds, nodes, packages : pyarrow.Table
        The tables of those names; a package without a reason has a model.
    clusters : sequence of str
        The features that clusters carry.
    properties, variants : sequence of str
        What a feature is, as in `prism.features.extract`.

    Returns
    -------
    pyarrow.Table
        The jobs table, ordered as `builds` and by feature; a job that requires nothing has one
        row without a subsystem, a feature and a value.
    """
    modelled = packages["package"].filter(packages["reason"].is_null())
    builds = builds.filter(
        pc.is_in(builds["package"].cast(pa.string()), value_set=modelled.combine_chunks())
    )
    place, nodes = nodes_of(builds["build"], nodes)
    stated = pa.concat_tables(
        _stated(place, nodes["node"], suffix, value, clusters)
        for suffix, value in properties_of(nodes, properties, variants)
    )
    # two nodes of one name in a spec: the later one counts, as in the features table
    stated = stated.append_column("row", pa.array(np.arange(len(stated))))
    last = stated.group_by(["place", "feature"]).aggregate([("row", "max")])["row_max"]
    stated = stated.take(last).drop_columns("row")
    stated = stated.filter(stated["value"].is_valid())
    idle = np.setdiff1d(np.arange(len(builds)), stated["place"].to_numpy())
    nothing = pa.nulls(len(idle), pa.string())
    table = pa.concat_tables(
        [stated, pa.table([idle, nothing, nothing, nothing], stated.schema.names)]
    ).sort_by([("place", "ascending"), ("feature", "ascending")])
    return tables.table(
        "jobs",
        {
            "job": builds["build"].take(table["place"]),
            "group": builds["package"].take(table["place"]),
            "subsystem": table["subsystem"],
            "feature": table["feature"],
            "value": table["value"],
        },
    )


def _stated(
    place: np.ndarray,
    node: pa.ChunkedArray,
    suffix: str,
    value: pa.ChunkedArray | pa.Array,
    clusters: Sequence[str],
) -> pa.Table:
    """What specs state of one property: which build, subsystem, feature and value."""
    subsystem = node.cast(pa.string())
    feature = pc.binary_join_element_wise(subsystem, suffix, "-")
    table = pa.table(
        {
            "place": place,
            "subsystem": subsystem,
            "feature": feature,
            "value": value.cast(pa.string()),
        }
    )
    return table.filter(pc.is_in(feature, value_set=pa.array(clusters, pa.string())))
