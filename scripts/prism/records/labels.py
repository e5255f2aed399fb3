"""Reads the label tables of packages: which builds succeeded, which failed and why."""

import csv
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prism.errors import InputError
from prism.records.frames import read_frame

SUFFIXES = (".csv", ".parquet", ".pkl", ".pickle")
NEEDED = ("name", "Status", "Reason")
HASH = "full_hash"
LARGEST = 10_000_000  # rows; a parquet file of a few bytes can claim any number


class OtherTableError(InputError):
    """A table that has nothing of a label table, and may be something else."""


def read_labels(place: str, data: bytes, suffix: str) -> pa.Table:
    """Read the label table of a package.

    Parameters
    ----------
    place : str
        The file, as messages name it.
    data : bytes
        Its content: CSV, parquet or a pickled pandas DataFrame, with the columns name, Status,
        Reason and full_hash. Without full_hash the index of the DataFrame is the hash (in a CSV
        the first column, which has no name).
    suffix : str
        One of `SUFFIXES`.

    Returns
    -------
    pyarrow.Table
        A row for every row of the file, in its order, with the text columns hash, package, status
        and reason, as written. What is missing is an empty text; a missing reason is null.

    Raises
    ------
    prism.errors.InputError
        If the file can't be read as what its suffix says, or has not the columns. Nothing that a
        pickle asks for is run. An `OtherTableError` if it has none of Status, Reason, full_hash.
    """
    reader = {".csv": _from_csv, ".parquet": _from_parquet}.get(suffix, _from_pickle)
    *texts, reason = reader(place, data)
    texts = [pc.fill_null(text, "") for text in texts]
    reason = pc.if_else(pc.equal(reason, ""), None, reason)
    return pa.table([*texts, reason], names=["hash", "package", "status", "reason"])


def _check(place: str, names: Sequence[object], index: bool) -> None:
    for name in (HASH, *NEEDED):
        if names.count(name) > 1:
            raise InputError(f"{place}: column {name!r} stands there twice")
        if name not in names and not (name == HASH and index):
            other = {HASH, "Status", "Reason"}.isdisjoint(names)
            raise (OtherTableError if other else InputError)(
                f"{place}: no column {name!r}: a label table has the columns {', '.join(NEEDED)} "
                f"and {HASH} (or the hash as its index), this one has "
                f"{', '.join(map(repr, names)) or 'none'}"
            )


def _from_csv(place: str, data: bytes) -> list[pa.Array]:
    # not pyarrow.csv: it takes all that follows an unclosed quote for one cell, and says nothing
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{place}: line {line}: not UTF-8; expected CSV") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[list[str]] = [[], [], [], []]
    try:
        names = next(rows, [])
        _check(place, names, index=names[:1] == [""])
        chosen = [names.index(HASH) if HASH in names else 0, *map(names.index, NEEDED)]
        for row in rows:
            if row and len(row) != len(names):
                raise csv.Error(f"{len(row)} cells, expected {len(names)}")
            for column, position in zip(columns, chosen if row else (), strict=False):
                column.append(row[position])
    except csv.Error as error:
        raise InputError(f"{place}: line {rows.line_num}: not CSV: {error}") from None
    return [pa.array(column, pa.string()) for column in columns]


def _from_parquet(place: str, data: bytes) -> list[pa.ChunkedArray]:
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            names = file.schema_arrow.names
            # pandas notes here which column was the index; a range is not stored as a column
            noted = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
            index = [name for name in noted if name in names]
            _check(place, names, index=len(index) == 1)
            if file.metadata.num_rows > LARGEST:
                raise InputError(f"{place}: {file.metadata.num_rows} rows, expected {LARGEST}")
            chosen = [HASH if HASH in names else index[0], *NEEDED]
            table = file.read(chosen)
        return [table[name].cast(pa.string()) for name in chosen]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{place}: not a parquet table of texts: {error}") from None


def _from_pickle(place: str, data: bytes) -> list[pa.Array]:
    try:
        names, found, index = read_frame(data, {HASH, *NEEDED})
        _check(place, names, index=index is not None)
        columns = [found.get(HASH, index or []), *(found[name] for name in NEEDED)]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns are not of one length")
        return [pa.array(column, pa.string()) for column in columns]
    except InputError:
        raise
    except Exception as error:  # a damaged or hostile pickle raises anything at all
        raise InputError(
            f"{place}: not a pickled DataFrame of texts and numbers: {error or repr(error)} "
            f"(a label table can also be CSV or parquet)"
        ) from None
