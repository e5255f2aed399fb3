"""The schema of every table, validated reading, atomic writing.

Every table that passes between two stages is a parquet file (zstd) with a schema that stands
here. A table of another schema is refused on reading and on writing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prism.errors import InputError

TEXT = pa.string()
CODED = pa.dictionary(pa.int32(), pa.string())  # text of few distinct values
INT = pa.int64()
FLOAT = pa.float64()

METRICS = ("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "brier", "calibration_error")

SCHEMAS: dict[str, pa.Schema] = {
    "builds": pa.schema(
        [("build", TEXT), ("package", CODED), ("version", CODED), ("success", pa.bool_()),
         ("reason", CODED)]
    ),
    "rejected": pa.schema([("record", TEXT), ("why", CODED)]),
    # variants: the node's parameters as a JSON object of texts, keys sorted
    "nodes": pa.schema(
        [("build", CODED), ("node", CODED), ("version", CODED), ("compiler", CODED),
         ("compiler_version", CODED), ("target", CODED), ("os", CODED), ("platform", CODED),
         ("variants", CODED)]
    ),
    # reason: why the package has no model; null = it has one
    "packages": pa.schema(
        [("package", TEXT), ("builds", INT), ("successes", INT), ("reason", TEXT)]
    ),
    "features": pa.schema([("build", TEXT), ("success", pa.bool_())]),  # + a column a feature
    # value: null = the spec has no such node; weight: what the term adds to the log odds
    "models": pa.schema(
        [("term", TEXT), ("value", TEXT), ("successes", INT), ("failures", INT),
         ("weight", FLOAT)]
    ),
    # out of fold; baseline: the success rate of the training folds
    "predictions": pa.schema(
        [("build", TEXT), ("package", CODED), ("model", CODED), ("success", pa.bool_()),
         ("fold", INT), ("probability", FLOAT), ("baseline", FLOAT)]
    ),
    # metrics are null where the package has too few builds of one outcome, as reason says
    "metrics": pa.schema(
        [("package", TEXT), ("model", TEXT), ("n", INT), ("successes", INT), ("folds", INT)]
        + [(name, FLOAT) for name in METRICS]
        + [(f"baseline_{name}", FLOAT) for name in METRICS]
        + [("reason", TEXT)]
    ),
    "clusters": pa.schema([("cluster", TEXT)]),  # + a column a feature
    # a job that requires nothing has one row, with subsystem, feature and value null
    "jobs": pa.schema(
        [("job", CODED), ("group", CODED), ("subsystem", CODED), ("feature", CODED),
         ("value", CODED)]
    ),
    "outcomes": pa.schema([("group", CODED), ("cluster", CODED), ("probability", FLOAT)]),
    "rounds": pa.schema(
        [("round", TEXT), ("plan", TEXT), ("order", INT), ("position", INT), ("added", TEXT),
         ("subsystems", pa.list_(TEXT))]
    ),
    # cluster: null = unplaced, its outcome and expected are 0
    "round": pa.schema(
        [("job", TEXT), ("matches", pa.int32()), ("cluster", CODED), ("outcome", FLOAT),
         ("expected", FLOAT)]
    ),
    # package: null = all jobs. outcome, expected and ceiling are sums over jobs; ceiling is that
    # of the best cluster of each job; score = expected / jobs, drawn_score = outcome / jobs
    "scores": pa.schema(
        [("round", TEXT), ("plan", TEXT), ("order", INT), ("position", INT), ("added", TEXT),
         ("package", CODED), ("jobs", INT), ("placed", INT), ("matches", INT), ("outcome", FLOAT),
         ("expected", FLOAT), ("ceiling", FLOAT), ("score", FLOAT), ("drawn_score", FLOAT)]
    ),
    # possible: what the jobs received would score, each on its best cluster
    "cluster_scores": pa.schema(
        [("round", CODED), ("cluster", CODED), ("jobs", INT), ("outcome", FLOAT),
         ("possible", FLOAT)]
    ),
}  # fmt: skip

OPEN = {"features", "clusters"}  # followed by text columns, one a feature


def _schema(table: str, found: pa.Schema, path: str | Path) -> pa.Schema:
    """The schema that a file of this schema has once its texts are encoded as Prism does."""
    wanted = SCHEMAS[table]
    if found.names[: len(wanted)] != wanted.names:
        missing = [name for name in wanted.names if name not in found.names]
        what = f"no column {missing[0]!r}" if missing else "columns in another order"
        raise InputError(
            f"{path}: {what}: a {table} table has the columns {', '.join(wanted.names)}, "
            f"this file has {', '.join(found.names) or 'none'}"
        )
    features = found.names[len(wanted) :]
    if features and table not in OPEN:
        raise InputError(f"{path}: unknown column {features[0]!r} in a {table} table")
    schema = pa.schema([*wanted, *((name, CODED) for name in features)], found.metadata)
    for there, here in zip(found, schema, strict=True):
        if found.names.count(there.name) > 1:
            raise InputError(f"{path}: column {there.name!r} stands there twice")
        if there.type != here.type and not (_is_text(there.type) and _is_text(here.type)):
            kind = "text" if _is_text(here.type) else here.type
            raise InputError(
                f"{path}: column {there.name!r} is {there.type}, expected {kind} (a {table} table)"
            )
    return schema


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def read(path: str | Path, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table and check its schema.

    Parameters
    ----------
    path : path
        A parquet file.
    table : str
        What the file holds, a key of `SCHEMAS`.
    columns : sequence of str, optional
        The columns wanted; all of them without.

    Returns
    -------
    pyarrow.Table
        Texts are encoded as the schema says, however the file has them.

    Raises
    ------
    prism.errors.InputError
        If the file is not there, is not parquet, or is a table of another schema.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = _schema(table, file.schema_arrow, path)
            data = file.read(columns)
        return _encode(data, schema)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a {table} table") from None
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a readable {table} table: {error}") from None


def write(path: str | Path, table: str, data: pa.Table) -> None:
    """Write a table whole or not at all.

    Parameters
    ----------
    path : path
        Where the parquet file will stand; its folder is made if needed.
    table : str
        What is written, a key of `SCHEMAS`.
    data : pyarrow.Table
        Metadata of its schema is kept.

    Raises
    ------
    prism.errors.InputError
        If the table has another schema, or if the file can't be written.
    """
    data = _encode(data, _schema(table, data.schema, path))
    with replacing(path) as temporary:
        pq.write_table(data, temporary, compression="zstd")


def _encode(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `data` with the types that the schema gives them."""
    schema = pa.schema([schema.field(name) for name in data.column_names], schema.metadata)
    columns = [_cast(data[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def replacing(path: str | Path) -> Iterator[str]:
    """Name of a temporary file beside `path`, which takes that name if all goes well.

    Raises
    ------
    prism.errors.InputError
        If the file can't be written: no room, no permission, the folder is a file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield str(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from None


def table(
    name: str, columns: dict[str, object], metadata: dict[str, str] | None = None
) -> pa.Table:
    """Make a table of the schema `name` from columns (sequences or arrow arrays).

    Further columns of the tables of features are dictionary-encoded text.
    """
    schema = SCHEMAS[name]
    for extra in list(columns)[len(schema) :]:
        schema = schema.append(pa.field(extra, CODED))
    arrays = [_cast(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata(metadata))


def _cast(values: object, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values, kind.value_type if pa.types.is_dictionary(kind) else kind)
    if values.type == kind:
        return values
    if pa.types.is_dictionary(kind):
        return values.cast(TEXT).dictionary_encode()
    return values.cast(kind)


def coded(indices: object, values: Sequence[str]) -> pa.DictionaryArray:
    """Dictionary-encoded text column from int32 indices into `values`; a negative one is null."""
    indices = np.asarray(indices, np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), pa.array(values, TEXT)
    )


def codes(column: pa.Array | pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Distinct values of a text column, and which of them each row has.

    Returns
    -------
    values : list of str
        In the order in which they appear.
    codes : ndarray of int64, shape (rows,)
        Place in `values`; -1 = null.
    """
    column = column.cast(TEXT).dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    return column.dictionary.to_pylist(), column.indices.fill_null(-1).to_numpy().astype(np.int64)
