"""A pickled DataFrame is read without running it, whatever it asks for."""

import base64
import functools
import json
import operator
import os
import pickle
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism.errors import InputError
from prism.records import frames
from prism.records.labels import NEEDED, read_labels
from test_labels import ROWS, frame

# {name: base64 of zlib of a pickle}, written by the pandas named, without full_hash where the
# protocol is 5: pd.DataFrame({"name": ["abyss"] * 3, "level": [0, 1, 2], "Status": ..., "Reason":
# ..., "full_hash": ..., "took": [1.5, 2, 3], "ok": [True, False, False], "dependencies":
# [["x"], [], ["y"]]}, index=["aa", "bb", "cc"])
OLD = {
    name: zlib.decompress(base64.b64decode(text))
    for name, text in json.loads(
        (Path(__file__).parent / "data" / "frames.json").read_text()
    ).items()
}


def pickled(value, protocol: int = pickle.HIGHEST_PROTOCOL) -> dict:
    return read_labels("a.pkl", pickle.dumps(value, protocol), ".pkl").to_pydict()


def refused(data: bytes, suffix: str, *says: str) -> str:
    with pytest.raises(InputError) as error:
        read_labels("labels.tar: abyss", data, suffix)
    message = str(error.value)
    assert message.startswith("labels.tar: abyss: ")
    assert "\n" not in message
    for text in says:
        assert text in message
    return message


@pytest.mark.parametrize("name", OLD)
def test_pickles_of_other_pandas(name):
    assert read_labels("x", OLD[name], ".pkl").to_pydict() == ROWS


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_this_pandas(protocol):
    whole = frame()
    assert pickled(whole, protocol) == ROWS
    assert pickled(whole.astype(object), protocol) == ROWS
    assert pickled(whole.drop(columns="full_hash"), protocol) == ROWS
    assert pickled(whole.reset_index(drop=True), protocol) == ROWS
    assert pickled(whole.set_index([[5, 6, 7]]), protocol) == ROWS
    assert pickled(whole.rename_axis("full_hash").drop(columns="full_hash"), protocol) == ROWS
    assert pickled(whole.astype({"name": "string[python]"}), protocol) == ROWS
    assert pickled(whole.astype({"name": "string[pyarrow]"}), protocol) == ROWS
    assert pickled(pd.concat([whole[:1], whole[1:]]), protocol) == ROWS
    assert pickled(whole.astype(object).T.T, protocol) == ROWS  # blocks in Fortran order
    assert pickled(whole[:0], protocol) == {name: [] for name in ROWS}
    assert pickled(pd.DataFrame(columns=whole.columns), protocol) == {name: [] for name in ROWS}
    some = {name: values[1:] for name, values in ROWS.items()}
    assert pickled(whole[whole.Status == "FAILED"], protocol) == some
    assert pickled(whole.assign(Reason=float("nan")), protocol)["reason"] == [None] * 3
    assert pickled(whole.assign(Reason=[1, 2, 3]), protocol)["reason"] == ["1", "2", "3"]
    assert pickled(whole.assign(Reason=""), protocol)["reason"] == [None] * 3


CELLS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5))


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=5),
    protocol=st.integers(0, 5),
    kind=st.sampled_from([object, "str", "string"]),
    order=st.permutations(range(6)),
)
def test_pickles_say_what_pandas_says(rows, protocol, kind, order):
    data = pd.DataFrame(rows, columns=["full_hash", "name", "Status", "Reason"], dtype=object)
    data = data.astype(kind).assign(level=1, took=0.5).iloc[:, order]
    found = pickled(data, protocol)
    for ours, name in (("hash", "full_hash"), ("package", "name"), ("status", "Status")):
        assert found[ours] == ["" if pd.isna(cell) else cell for cell in data[name]]
    assert found["reason"] == [None if pd.isna(cell) else cell or None for cell in data["Reason"]]


def test_pickles_without_a_column():
    for name in ("name", "Status", "Reason"):
        refused(pickle.dumps(frame().drop(columns=name)), ".pkl", f"no column '{name}'", "'took'")
    lost = frame().reset_index(drop=True).drop(columns="full_hash")
    refused(pickle.dumps(lost), ".pkl", "no column 'full_hash'")
    refused(pickle.dumps(lost.set_index([[7, 8, 9]])), ".pkl", "no column 'full_hash'")
    twice = pd.concat([frame(), frame()[["Status"]]], axis=1)
    refused(pickle.dumps(twice), ".pkl", "'Status'", "twice")


def test_pickles_of_something_else():
    for value in (None, 1, "x", [frame()], {"a": 1}, (1, 2), {1}):
        refused(pickle.dumps(value), ".pkl", f"it holds a {type(value).__name__}")
    refused(pickle.dumps(frame()["name"]), ".pkl", "it asks for pandas")
    refused(pickle.dumps(pd.Index(["a"])), ".pkl", "it holds a _new_Index")
    refused(pickle.dumps(frame().assign(name=[["x"]] * 3)), ".pkl", "a cell is a list")
    refused(pickle.dumps(frame().assign(name=[{}, 1, b"x"])), ".pkl", "a cell is a dict")
    half = pd.Series(["\udc80"] * 3, frame().index, object)  # no text of its own
    refused(pickle.dumps(frame().assign(Status=half)), ".pkl")
    refused(b"", ".pkl")
    refused(b",name,Status\n", ".pkl", "not a pickled DataFrame")


class Call:
    """Pickles as a call of `function`, with the state given."""

    def __init__(self, function, *arguments, state=None) -> None:
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda path: Call(os.system, f"touch {path}"), "posix.system"),
        (lambda path: Call(eval, f"open({str(path)!r}, 'w')"), "eval"),
        (lambda path: Call(exec, f"open({str(path)!r}, 'w')"), "exec"),
        (lambda path: Call(open, str(path), "w"), "open"),
        (lambda path: Call(functools.partial(os.mkdir, str(path))), "posix.mkdir"),
        (lambda path: Call(operator.attrgetter("system"), "x"), "operator.attrgetter"),
        (lambda path: Call(getattr, "x", "upper"), "getattr"),
        (lambda path: Call(np.load, str(path)), "numpy.load"),
        (lambda path: Call(pd.read_pickle, str(path)), "read_pickle"),
        (lambda path: Call(pd.eval, "1"), "eval"),
        (lambda path: Call(np.ndarray.__reduce__, 1), "getattr"),
    ],
)
def test_pickles_that_would_run_code(tmp_path, protocol, call, name):
    path = tmp_path / "made"
    hostile = call(path)
    nested = frame().astype(object)
    nested.at["bb", "dependencies"] = hostile
    named = frame()
    named.index.name = hostile
    state = Call(pd.DataFrame, state={"_mgr": hostile})
    for value in (hostile, [hostile], {"a": hostile}, nested, named, state):
        message = refused(pickle.dumps(value, protocol), ".pkl", "it asks for ")
        assert name in message
    assert not path.exists()


def test_hostile_numpy_states_never_reach_numpy():
    """A dtype of objects that claims to be plain bytes would turn bytes into pointers."""
    lie = Call(np.dtype, "O8", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    rebuild = np.zeros(1).__reduce__()[0]
    array = Call(rebuild, np.ndarray, (0,), b"b", state=(1, (3,), lie, False, b"A" * 24))
    far = (3, "|", None, ("f",), {"f": (np.dtype("O8"), 1000)}, 8, 1, 0)
    fields = Call(np.dtype, "V8", False, True, state=far)
    beyond = Call(rebuild, np.ndarray, (0,), b"b", state=(1, (3,), fields, False, b"A" * 24))
    for odd in (array, beyond):
        refused(with_array(odd), ".pkl", "an array" if odd is array else "numpy's type")


def with_array(array) -> bytes:
    """Pickle of a frame whose one block, of three rows and four columns, is `array`."""
    real = pd.DataFrame(np.full((3, 4), "x", object), columns=["full_hash", *NEEDED], dtype=object)
    blocks = real._mgr.__reduce__()[1][0]
    unpickle, (_, placement, _) = blocks[0].__reduce__()
    block = Call(unpickle, array, placement, 2)
    return pickle.dumps(
        Call(pd.DataFrame, state={"_mgr": Call(type(real._mgr), (block,), real.axes[::-1])})
    )


@pytest.mark.parametrize(
    "state",
    [
        (1, (10**12, 3), np.dtype("O"), False, []),
        (1, (-4, -3), np.dtype("O"), False, ["x"] * 12),
        (1, (4, 0), np.dtype("O"), False, ["x"] * 12),
        (1, (4, 2), np.dtype("O"), False, ["x"] * 12),
        (1, (0, 3), np.dtype("O"), False, []),
        (1, (), np.dtype("O"), False, []),
        (1, "ab", np.dtype("O"), False, []),
        (1, (4, 3), np.dtype("O"), False, "x" * 12),
        (1, (4, 3), np.dtype("f8"), False, b"short"),
        (1, (4, 3), np.dtype("f8"), False, ["x"] * 12),
        (1, (2**40, 2**40), np.dtype("f8"), False, b""),
        (1, (4, 3), np.dtype("U3"), False, b"x" * 144),
        (1, (4, 3), None, False, []),
        (1, 2),
        "x",
        {},
    ],
)
def test_arrays_that_lie_about_themselves(state):
    rebuild = np.zeros(1).__reduce__()[0]
    good = (1, (4, 3), np.dtype("O"), False, ["x"] * 12)
    right = with_array(Call(rebuild, np.ndarray, (0,), b"b", state=good))
    assert read_labels("x", right, ".pkl")["hash"].to_pylist() == ["x"] * 3
    refused(with_array(Call(rebuild, np.ndarray, (0,), b"b", state=state)), ".pkl")


def test_calls_of_allowed_names_with_odd_arguments():
    allowed = [
        Call(function, *arguments, state=state)
        for function in (pd.DataFrame, pd.Index, pd.RangeIndex, np.ndarray, np.dtype, slice, bytes)
        for arguments in ((), (1,), (10**12,), ("x", None, -1), ([1], {}))
        for state in (None, {"_mgr": 1}, (1, 2), "x")
    ]
    for value in allowed:
        refused(pickle.dumps(value), ".pkl")
        refused(pickle.dumps(Call(pd.DataFrame, state={"_mgr": value})), ".pkl")
        refused(with_array(value), ".pkl")


def test_arrow_arrays_are_validated():
    def column(length, *buffers, kind="large_string", offset=0):
        restore, (parts,) = pa.array([], kind).__reduce__()
        parts = (parts[0], length, 0, offset, [b and pa.py_buffer(b) for b in buffers], [], None)
        state = {"_pa_array": Call(restore, parts)}
        return with_array(Call(pd.arrays.ArrowStringArray, state=state))

    def ends(*values):
        return np.array(values, "<i8").tobytes()

    good = column(3, None, ends(0, 1, 2, 3), b"abc")
    assert read_labels("x", good, ".pkl")["hash"].to_pylist() == ["a", "b", "c"]
    for hostile in (
        column(3, None, ends(0, 1, 2, 1 << 40), b"abc"),
        column(3, None, ends(0, -5, 2, 3), b"abc"),
        column(1 << 40, None, ends(0, 1, 2, 3), b"abc"),
        column(-1, None, ends(0, 1, 2, 3), b"abc"),
        column(3, b"", ends(0, 1, 2, 3), b"abc"),
        column(3, None, ends(0, 1, 2, 3), b"ab\xff"),
        column(3, None, None, b"abc"),
        column(3, None, b"", b""),
        column(3, b"\7"),
        column(1, None, ends(0, 1), b"a", kind="int64"),
        column(3, None, ends(0, 1, 2, 3), b"abc", offset=-1),
        column(3, None, ends(0, 1, 2, 3), b"abc", offset=1 << 62),
    ):
        refused(hostile, ".pkl", "not a pickled DataFrame")


def test_bombs_in_pickles(monkeypatch):
    refused(b"\x80\x02Nr\xff\xff\xff\x7f.", ".pkl", "memo")  # would take 32 GB
    refused(b"N" + b"p9999999999\n.", ".pkl", "memo")
    refused(b"\x80\x05\x96" + (1 << 36).to_bytes(8, "little") + b".", ".pkl")
    refused(b"\x80\x04})" + b"\x85" * 3_000_000 + b"K\x01s.", ".pkl", "tuples")  # hash: stack
    refused(b"\x80\x04\x8a\xff" + b"\xff" * 255 + b".", ".pkl")
    monkeypatch.setattr(frames, "LARGEST", 100)
    refused(pickle.dumps(frame(name=["x" * 40] * 3)), ".pkl", "100 bytes of text")


def test_persistent_ids_and_extensions_are_refused():
    for data in (
        b"Pos.system\n.",
        b"\x80\x02X\x01\0\0\0xQ.",
        b"\x80\x02\x82\x01.",
        b"\x80\x05\x97.",
    ):
        refused(data, ".pkl")


@pytest.mark.parametrize("name", OLD)
def test_truncated_pickles(name):
    for size in range(0, len(OLD[name]), 5):
        refused(OLD[name][:size], ".pkl")


def test_damaged_pickles_end_in_one_line_or_a_table():
    draw = random.Random(1)
    whole = [*OLD.values(), *(pickle.dumps(frame(), protocol) for protocol in range(6))]
    for _ in range(3000):
        data = bytearray(draw.choice(whole))
        for _ in range(draw.choice((1, 1, 2, 8))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            table = read_labels("x", bytes(data), ".pkl")
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert table.column_names == list(ROWS)


def test_reading_a_pickle_imports_no_pandas():
    code = (
        "import prism.lean, sys; from prism.records.labels import NEEDED, read_labels;"
        "print(read_labels('x', sys.stdin.buffer.read(), '.pkl').num_rows, 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(frame()),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "scripts")},
    )
    assert done.stdout == b"3 False\n"
