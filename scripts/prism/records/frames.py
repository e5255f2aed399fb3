"""Reads pickled pandas DataFrames without running anything that the pickle asks for.

A pickle is a program. An allow-list of what DataFrames are made of does not tame it: with
numpy's own `dtype` and `ndarray` alone it can hand numpy a pointer of its choice. So here every
name that the pickle uses must be on the list, and even those are not called: a `_Part` notes what
was asked for, and the columns are put together from the notes. That also makes the outcome
independent of the pandas that is installed (none is imported).
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

_NAMES = {
    "builtins __builtin__": "object slice bytes bytearray",
    "copyreg copy_reg": "_reconstructor",
    "_codecs": "encode",
    "functools": "partial",  # of new_block, in pandas 1.3
    "numpy": "dtype ndarray",
    "numpy.core.multiarray numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric numpy._core.numeric": "_frombuffer",
    "pandas": "DataFrame Index RangeIndex StringDtype NA",
    "pandas.arrays": "StringArray ArrowStringArray",
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked",
    "pandas._libs.internals": "_unpickle_block",
    "pandas._libs.missing": "NA",
    "pandas.core.arrays.string_": "StringArray StringDtype",
    "pandas.core.arrays.string_arrow": "ArrowStringArray",
    "pandas.core.frame": "DataFrame",
    "pandas.core.indexes.base": "Index _new_Index",
    "pandas.core.indexes.numeric": "Int64Index UInt64Index Float64Index",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.internals.blocks": "new_block",
    "pandas.core.internals.managers": "BlockManager",
    "pyarrow.lib": "_restore_array py_buffer type_for_alias",
}
ALLOWED = {
    (module, name)
    for modules, names in _NAMES.items()
    for module in modules.split()
    for name in names.split()
}
LARGEST = 1 << 30  # bytes of text; a pickle can name one long text a million times
DEEPEST = 100_000  # tuples; hashing ten times as many inside each other exhausts the C stack


class _Part:
    """Note of what a pickle asked for: its name is the class, then arguments and state."""

    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: object, **_: object) -> "_Part":
        part = super().__new__(cls)
        part.args, part.state = args, None
        return part

    def __call__(self, *args: object, **_: object) -> "_Part":
        return _Part(*args)

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.parts: dict[tuple[str, str], type[_Part]] = {}

    def find_class(self, module: str, name: str) -> type[_Part]:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.parts.setdefault((module, name), type(name, (_Part,), {}))


def read_frame(
    data: bytes, wanted: Collection[str]
) -> tuple[list[Any], dict[str, list[str | None]], list[str] | None]:
    """Columns of a pickled DataFrame as text.

    Parameters
    ----------
    data : bytes
        The pickle, of pandas 1.0 to 3.1 and any protocol.
    wanted : collection of str
        The columns to read; others may hold anything the pickle may name at all.

    Returns
    -------
    names : list
        All columns.
    columns : dict of str to list
        Those of the wanted that are there: a text a row, None where the frame has no value.
    index : list or None
        The index in the same way; None where it is made of numbers.

    Raises
    ------
    Exception
        Of any kind, with a reason: the pickle asks for something else, is damaged, or is no
        DataFrame (damaged pickles raise nearly anything).
    """
    _check_operations(data)
    frame: Any = _Unpickler(data).load()
    if _kind(frame) != "DataFrame":
        raise ValueError(f"it holds a {_kind(frame)}")
    manager = frame.state["_mgr"] if "_mgr" in frame.state else frame.state["_data"]
    if manager.state is None:  # since pandas 1.3
        blocks, axes = [part.args[:2] for part in manager.args[0]], manager.args[1]
    else:
        state = manager.state[3]["0.14.1"]
        blocks = [(block["values"], block["mgr_locs"]) for block in state["blocks"]]
        axes = state["axes"]
    names = _index(axes[0]) or []
    columns: dict[str, list[str | None]] = {}
    for values, placement in blocks:
        for row, position in enumerate(_positions(placement, len(names))):
            name = names[position]
            if name in columns:
                raise ValueError(f"column {name!r} stands there twice")
            if name in wanted:
                columns[name] = _texts(_row(values, row))
    index = _index(axes[1])
    whole = index is not None and all(isinstance(cell, str) for cell in index)
    return names, columns, index if whole else None


def _check_operations(data: bytes) -> None:
    """Refuse what is truncated, and a few bytes that would take all memory or the whole stack."""
    tuples = 0
    value: Any
    for operation, value, _ in pickletools.genops(data):
        if operation.name in ("PUT", "LONG_BINPUT") and value > len(data):
            raise pickle.UnpicklingError("its memo is larger than the file")
        tuples += operation.name.startswith("TUPLE")
    if tuples > DEEPEST:
        raise pickle.UnpicklingError(f"it has more than {DEEPEST} tuples")


def _kind(part: _Part | object) -> str:
    """Name of what a part would make."""
    name = type(part).__name__
    if name in ("_reconstructor", "__pyx_unpickle_NDArrayBacked"):
        return part.args[0].__name__
    return name


def _index(part: _Part) -> list[Any] | None:
    """Values of an index; None for those of numbers alone, which may stand for any length."""
    if part.args[0].__name__ != "Index":
        return None
    return _row(part.args[1]["data"], 0)


def _positions(placement: _Part, columns: int) -> range | list[int]:
    """Positions in the frame of the columns of a block."""
    if _kind(placement) == "slice":
        return range(columns)[slice(*placement.args)]
    return [range(columns)[position] for position in _row(placement, 0)]


def _row(values: _Part, row: int) -> list[Any]:
    """A column of the frame, which is a row of its block; a block of one column can be flat."""
    kind = _kind(values)
    if kind == "ArrowStringArray":
        return _arrow(values.state["_pa_array" if "_pa_array" in values.state else "_data"])
    if kind == "StringArray":
        parts = values.state.values() if isinstance(values.state, dict) else values.state
        values = next(part for part in parts if _kind(part) in ("_reconstruct", "_frombuffer"))
    if _kind(values) == "_reconstruct":
        _, shape, dtype, fortran, content = values.state
    elif _kind(values) == "_frombuffer":
        content, dtype, shape, order = values.args
        fortran = order == "F"
    else:
        raise ValueError(f"a column is a {kind}, expected text")
    if not (0 < len(shape) <= 2 and all(isinstance(size, int) and size >= 0 for size in shape)):
        raise ValueError(f"an array has the shape {shape}")
    if dtype.args[0] not in ("O", "O8"):
        cells = _numbers(content, dtype).reshape(shape, order="F" if fortran else "C")
        return (cells if cells.ndim == 1 else cells[row]).tolist()
    # lists of objects are in C order, whatever `fortran` says
    rows = math.prod(shape[:-1])
    if not isinstance(content, list) or row >= rows or rows * shape[-1] != len(content):
        raise ValueError(f"an array of shape {shape} has another number of cells")
    return content[row * shape[-1] : (row + 1) * shape[-1]]


def _numbers(content: _Part | bytes, dtype: _Part) -> np.ndarray:
    kind = f"{dtype.state[1]}{dtype.args[0]}"
    if not re.fullmatch("[<>|][biuf][1248]", kind):
        raise ValueError(f"a column is of numpy's type {kind}, expected text")
    return np.frombuffer(_bytes(content), kind)


def _bytes(part: _Part | bytes) -> bytes:
    """Bytes, which older protocols make by calls."""
    if isinstance(part, bytes | bytearray):
        return bytes(part)
    if _kind(part) == "encode" and part.args[1] == "latin1":
        return part.args[0].encode("latin1")
    if _kind(part) in ("bytes", "bytearray", "py_buffer"):
        return _bytes(part.args[0]) if part.args else b""
    raise ValueError(f"an array is made of a {_kind(part)}, expected bytes")


def _arrow(part: _Part) -> list[str | None]:
    """Texts of an Arrow array, of which nothing is believed before it is validated."""
    ((kind, length, _, offset, buffers, _, _),) = part.args
    types = {"string": pa.string(), "large_string": pa.large_string()}
    held = [None if buffer is None else pa.py_buffer(_bytes(buffer)) for buffer in buffers]
    array = pa.Array.from_buffers(types[kind.args[0]], length, held, -1, offset)
    array.validate(full=True)
    return array.to_pylist()


def _texts(cells: list[Any]) -> list[str | None]:
    texts = [_text(cell) for cell in cells]
    if sum(len(text) for text in texts if text) > LARGEST:
        raise ValueError(f"a column has more than {LARGEST} bytes of text")
    return texts


def _text(cell: object) -> str | None:
    if isinstance(cell, str):
        return cell
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, type) and cell.__name__ == "NA":
        return None
    if isinstance(cell, bool | int | float):
        return str(cell)
    raise ValueError(f"a cell is a {_kind(cell)}, expected text")
