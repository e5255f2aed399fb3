"""Raw records become builds and nodes; every record that does not is kept with the reason."""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from prism import tables
from prism.errors import InputError
from prism.records import labels, specs
from prism.records.archives import members

FOLDERS = {"working": True, "errors": False}  # what a folder of specs says of their builds

_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")  # safe in a file name


class Label(NamedTuple):
    """What one row of a label table says of one build."""

    package: str
    success: bool
    reason: str | None
    record: str


class Raw(NamedTuple):
    """All that the sources hold, as it was read.

    Attributes
    ----------
    labels : dict of str to list of Label
        Kept labels (successes and root failures) of a hash.
    specs : dict of str to list of int
        Nodes of the spec of a hash, as indices into `nodes`.
    files : dict of str to list of tuple (record, bool or None)
        Where specs of a hash stand, and what the folder says of the build.
    nodes : list of Node
    rejected : list of tuple (record, why)
    explained : set of str
        Hashes of rejected labels: a spec that has no other label needs no reason of its own.
    spoiled : set of str
        Hashes of rejected specs, of which nothing can be kept.
    """

    labels: dict[str, list[Label]]
    specs: dict[str, list[int]]
    files: dict[str, list[tuple[str, bool | None]]]
    nodes: list[specs.Node]
    rejected: list[tuple[str, str]]
    explained: set[str]
    spoiled: set[str]


def read_records(sources: Sequence[tuple[str | Path, str]]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Read raw records and keep successes and root failures.

    Every ``.csv``, ``.parquet`` or ``.pkl`` file is a label table (one that has nothing of a label
    table is left alone, unless it stands in a folder called ``labels``), and every ``.yaml``,
    ``.yml`` or ``.json`` file a concrete spec, named after its hash. Specs without a label count as
    successes in a folder called ``working`` and as failures in one called ``errors``; where there
    is a label, it decides.

    Parameters
    ----------
    sources : sequence of (path, folder)
        Folders or archives, and the folder within each that counts ("" for all of it).

    Returns
    -------
    builds, rejected, nodes : pyarrow.Table
        Builds are ordered by package and hash, and nodes by build, as they stand in its spec.

    Raises
    ------
    prism.errors.InputError
        If an archive or a label table can't be read, or if no build remains.
    """
    raw = _read(sources)
    kept = dict(_decide(raw))
    if not kept:
        reason = "".join(f"; {record}: {why}" for record, why in raw.rejected[:1])
        raise InputError(
            f"{', '.join(str(path) for path, _ in sources)}: no builds: expected label tables "
            f"(.csv, .parquet, .pkl) and concrete specs (.yaml, .json){reason}"
        )
    hashes = sorted(kept, key=lambda build: (kept[build].package, build))
    return _builds(raw, kept, hashes), _rejected(raw), _nodes(raw, hashes)


def _read(sources: Iterable[tuple[str | Path, str]]) -> Raw:
    reader = specs.SpecReader()
    raw = Raw(defaultdict(list), {}, defaultdict(list), reader.nodes, [], set(), set())
    for path, folder, name, content in _progress(_files(sources)):
        if name.endswith(specs.SUFFIXES):
            within = PurePosixPath(PurePosixPath(path).name, folder, name).parts[:-1]
            says = [FOLDERS[part] for part in within if part in FOLDERS]
            _take_spec(raw, reader, name, content, says[-1] if says else None)
        else:
            _take_labels(raw, path, name, content)
    return raw


def _files(sources: Iterable[tuple[str | Path, str]]) -> Iterator[tuple[str, str, str, bytes]]:
    """Every file that matters: source, folder that counts, name within it, content."""
    suffixes = (*labels.SUFFIXES, *specs.SUFFIXES)
    for path, folder in sources:
        inside = f"/{folder.strip('/')}/" if folder.strip("/") else "/"

        def wanted(name: str, inside: str = inside) -> bool:
            return inside in f"/{name}" and name.endswith(suffixes)

        for name, content in members(path, wanted):
            yield str(path), folder, f"/{name}".partition(inside)[2], content


def _progress(files: Iterable, every_seconds: float = 5.0) -> Iterator:
    start = last = time.monotonic()
    count = 0
    for count, file in enumerate(files, 1):
        yield file
        if time.monotonic() - last > every_seconds:
            last = time.monotonic()
            print(f"read {count:,} files, {count / (last - start):,.0f} a second", flush=True)
    print(f"read {count:,} files in {time.monotonic() - start:.1f} s", flush=True)


def _take_spec(
    raw: Raw, reader: specs.SpecReader, name: str, content: bytes, says: bool | None
) -> None:
    build = PurePosixPath(name).stem
    try:
        nodes = reader.read(name, content)
    except specs.SpecError as error:
        raw.rejected.append((name, f"spec can't be read: {error}"))
        raw.spoiled.add(build)
        return
    if raw.specs.setdefault(build, nodes) != nodes:
        raw.rejected.append((name, "conflicting: another spec has the same hash"))
        raw.spoiled.add(build)
    raw.files[build].append((name, says))


def _take_labels(raw: Raw, path: str, name: str, content: bytes) -> None:
    file = PurePosixPath(name)
    try:
        rows = labels.read_labels(f"{path}: {name}", content, file.suffix)
    except labels.OtherTableError:
        if "labels" in file.parts:
            raise
        print(f"left alone, not a label table: {name}")
        return
    if not len(rows):
        print(f"no rows: {name}")
    for row, (build, package, status, reason) in enumerate(
        zip(*(column.to_pylist() for column in rows.columns), strict=True), 1
    ):
        record = f"{name}, row {row}, {build}"
        if status == "SUCCESS" or (status == "FAILED" and reason == "Root Failure"):
            raw.labels[build].append(Label(package, status == "SUCCESS", reason, record))
            continue
        if status == "FAILED":
            raw.rejected.append((record, f"not a root failure: {reason or 'no reason given'}"))
        else:
            raw.rejected.append((record, f"unknown status {status!r}, expected SUCCESS or FAILED"))
        raw.explained.add(build)


def _decide(raw: Raw) -> Iterator[tuple[str, Label]]:
    """The builds that are kept, each with its label; all others go to `raw.rejected`."""
    for build in sorted(raw.labels.keys() | raw.files.keys()):
        files = raw.files.get(build, [])
        if build in raw.spoiled:
            labelled = raw.labels.get(build, [])
            raw.rejected.extend((row.record, "its spec was rejected") for row in labelled)
            label = None
        elif build in raw.labels:
            label = _from_labels(raw, raw.labels[build], files)
        elif build not in raw.explained:
            label = _from_folders(raw, build, files)
        else:
            label = None
        if label is None:
            continue
        if why := _unfit(raw, build, label):
            raw.rejected.append((label.record, why))
        else:
            yield build, label


def _from_labels(raw: Raw, rows: list[Label], files: list[tuple[str, bool | None]]) -> Label | None:
    if len({row.success for row in rows}) > 1:
        records = "; ".join(row.record for row in rows)
        raw.rejected.append((records, "conflicting: success and root failure"))
        return None
    for row in rows[1:]:
        raw.rejected.append((row.record, "duplicate: the build has a label already"))
    for name, says in files:
        if says is not None and says != rows[0].success:
            raw.rejected.append((name, "overruled: the build's label says the contrary"))
    return rows[0]


def _from_folders(raw: Raw, build: str, files: list[tuple[str, bool | None]]) -> Label | None:
    says = {success for _, success in files if success is not None}
    records = "; ".join(sorted(name for name, success in files if success is not None or not says))
    if not says:
        raw.rejected.append((records, "spec without a label"))
        return None
    if len(says) > 1:
        raw.rejected.append((records, "conflicting: success and root failure"))
        return None
    return Label(raw.nodes[raw.specs[build][0]].node, says.pop(), None, records)


def _unfit(raw: Raw, build: str, label: Label) -> str | None:
    if build not in raw.specs:
        return "label without a spec"
    root = raw.nodes[raw.specs[build][0]].node
    if root != label.package:
        return f"the label is of package {label.package}, its spec of {root}"
    if not _PACKAGE.fullmatch(root):
        return "the package's name is not safe in a file name"
    return None


def _builds(raw: Raw, kept: dict[str, Label], hashes: list[str]) -> pa.Table:
    return tables.table(
        "builds",
        {
            "build": hashes,
            "package": [kept[build].package for build in hashes],
            "version": [raw.nodes[raw.specs[build][0]].version for build in hashes],
            "success": [kept[build].success for build in hashes],
            "reason": [kept[build].reason for build in hashes],
        },
    )


def _rejected(raw: Raw) -> pa.Table:
    rows = sorted(raw.rejected)
    return tables.table(
        "rejected", {"record": [row[0] for row in rows], "why": [row[1] for row in rows]}
    )


def _nodes(raw: Raw, hashes: list[str]) -> pa.Table:
    counts = [len(raw.specs[build]) for build in hashes]
    index = np.fromiter((node for build in hashes for node in raw.specs[build]), np.int32)
    columns = {"build": tables.coded(np.repeat(np.arange(len(hashes)), counts), hashes)}
    for field in specs.Node._fields:
        of_node = [getattr(node, field) for node in raw.nodes]
        values = sorted({of_node[node] for node in np.unique(index)} - {None})
        code = {value: number for number, value in enumerate(values)} | {None: -1}
        columns[field] = tables.coded(np.array([code.get(v, -1) for v in of_node])[index], values)
    return tables.table("nodes", columns)
