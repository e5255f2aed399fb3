"""A table stands whole under its name with the schema of its kind, or one line says why not."""

import os
import random
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prism import tables
from prism.errors import InputError


def builds(rows: int = 3) -> pa.Table:
    return tables.table(
        "builds",
        {
            "build": [f"b{n}" for n in range(rows)],
            "package": ["velora"] * rows,
            "version": ["1.10"] * rows,
            "success": [True] * rows,
            "reason": [None] * rows,
        },
    )


def refusal(path: Path, act, *arguments) -> str:
    """The message of a refusal: one line that names the file."""
    with pytest.raises(InputError) as error:
        act(*arguments)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", tables.SCHEMAS)
def test_a_table_comes_back_as_it_was_written(tmp_path, name):
    schema = tables.SCHEMAS[name]
    examples = {"string": "x", "bool": True, "int64": 3, "int32": 3, "double": 0.25}
    columns = {
        field.name: [["x", "y"]] if pa.types.is_list(field.type) else [examples[text_type(field)]]
        for field in schema
    }
    if name in tables.OPEN:
        columns |= {"velora-version": ["1.10"], "a-version": ["9e"]}
    data = tables.table(name, columns, {"seed": "3"})
    path = tmp_path / "deep" / "down" / f"{name}.parquet"
    tables.write(path, name, data)
    found = tables.read(path, name)
    assert found.equals(data)
    assert found.schema.metadata[b"seed"] == b"3"
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    tables.write(path, name, data.slice(0, 0))
    assert len(tables.read(path, name)) == 0
    assert names_in(path.parent) == [path.name]


def text_type(field: pa.Field) -> str:
    kind = field.type
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


def test_chosen_columns_are_read(tmp_path):
    tables.write(tmp_path / "t", "builds", builds())
    assert tables.read(tmp_path / "t", "builds", ["success", "build"]).column_names == [
        "success", "build"]  # fmt: skip


def test_coded_text_has_nulls_where_indices_are_negative():
    assert tables.coded(np.array([1, -1, 0]), ["a", "b"]).to_pylist() == ["b", None, "a"]
    assert tables.coded([], ["a"]).to_pylist() == []


# ------------------------------------------------------------------------------ other schemas


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.drop_columns("reason"), "no column 'reason'"),
        (lambda t: t.rename_columns(["hash", *t.column_names[1:]]), "no column 'build'"),
        (lambda t: t.append_column("colour", t["build"]), "unknown column 'colour'"),
        (
            lambda t: t.select(["package", "build", "version", "success", "reason"]),
            "columns in another order",
        ),
        (lambda t: t.set_column(3, "success", pa.array([1] * len(t))), "'success' is int64"),
        (lambda t: t.set_column(0, "build", pa.array([1] * len(t))), "'build' is int64"),
        (lambda t: t.select([]), "this file has none"),
    ],
)
def test_another_schema_is_refused_on_reading_and_on_writing(tmp_path, change, says):
    path, other = tmp_path / "builds.parquet", change(builds())
    assert says in refusal(path, tables.write, path, "builds", other)
    assert not path.exists()
    pq.write_table(other, path)
    assert says in refusal(path, tables.read, path, "builds")
    assert says in refusal(path, tables.read, path, "builds", ["version"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pa.array([1.5]), "column 'velora-version' is double, expected text"),
        (pa.array([1]), "column 'velora-version' is int64, expected text"),
    ],
)
def test_a_feature_that_is_no_text_is_refused(tmp_path, values, says):
    path = tmp_path / "velora.parquet"
    other = tables.table("features", {"build": ["a"], "success": [True]})
    other = other.append_column("velora-version", values)
    pq.write_table(other, path)
    assert says in refusal(path, tables.read, path, "features")


def test_one_kind_of_table_is_not_taken_for_another(tmp_path):
    path = tmp_path / "clusters.parquet"
    tables.write(path, "clusters", tables.table("clusters", {"cluster": ["red-fox"]}))
    assert "a jobs table has the columns job, group" in refusal(path, tables.read, path, "jobs")


# ------------------------------------------------------------------------------- damaged files


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "builds.parquet"
    assert "no such file" in refusal(path, tables.read, path, "builds")
    refusal(tmp_path, tables.read, tmp_path, "builds")  # a folder


@pytest.mark.parametrize("content", [b"", b"PAR1", b"build,package\n", b"PAR1" * 9, b"\0" * 5_000])
def test_a_file_that_is_not_parquet(tmp_path, content):
    path = tmp_path / "builds.parquet"
    path.write_bytes(content)
    assert "not a readable builds table" in refusal(path, tables.read, path, "builds")


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "builds.parquet"
    tables.write(path, "builds", builds(5_000))
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 199)):
        path.write_bytes(whole[:length])
        refusal(path, tables.read, path, "builds")


def test_a_damaged_file_is_refused_in_one_line_or_read(tmp_path):
    """Parquet has no checksum over all of it, so that not all damage can be seen."""
    path, rng, refused = tmp_path / "builds.parquet", random.Random(5), 0
    tables.write(path, "builds", builds(500))
    whole = path.read_bytes()
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 4, 30))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            tables.read(path, "builds")
        except InputError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
            refused += 1
    assert refused > 100


# ------------------------------------------------------------------------------ atomic writing


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "builds.parquet"
    tables.write(path, "builds", builds())
    before = path.read_bytes()

    def break_off(data, where, **_):
        Path(where).write_bytes(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(pq, "write_table", break_off)
    with pytest.raises(RuntimeError):
        tables.write(path, "builds", builds(9))
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]


def test_a_file_is_replaced_at_the_end_only(tmp_path):
    path = tmp_path / "new" / "scores.svg"
    with pytest.raises(KeyError), tables.replacing(path) as temporary:
        Path(temporary).write_text("half")
        raise KeyError
    assert names_in(path.parent) == []
    with tables.replacing(path) as temporary:
        Path(temporary).write_text("old")
    with tables.replacing(path) as temporary:
        Path(temporary).write_text("new")
        assert path.read_text() == "old"
        assert Path(temporary).parent == path.parent
    assert path.read_text() == "new"
    assert names_in(path.parent) == [path.name]


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "results").write_text("a file")
    for path in (tmp_path / "results" / "t", tmp_path / "results" / "study" / "t"):
        assert "can't be written" in refusal(path, tables.write, path, "builds", builds())
    assert (tmp_path / "results").read_text() == "a file"


def test_a_folder_where_the_file_should_be(tmp_path):
    path = tmp_path / "builds.parquet"
    (path / "inside").mkdir(parents=True)
    assert "can't be written" in refusal(path, tables.write, path, "builds", builds())
    assert names_in(tmp_path) == [path.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    path = tmp_path / "builds.parquet"
    assert "Permission denied" in refusal(path, tables.write, path, "builds", builds())


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a small disk can't be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk):
    path = small_disk / "outcomes.parquet"
    tables.write(path, "outcomes", outcomes(100))
    before = path.read_bytes()
    message = refusal(path, tables.write, path, "outcomes", outcomes(400_000))
    assert "No space left on device" in message
    assert path.read_bytes() == before
    assert names_in(small_disk) == [path.name]
    tables.write(path, "outcomes", outcomes(200))
    assert len(tables.read(path, "outcomes")) == 200


def test_a_device_that_is_full(tmp_path):
    """What a full disk says also where none can be mounted."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    path = tmp_path / "outcomes.parquet"

    def overflow():
        with tables.replacing(path):
            pq.write_table(outcomes(10), "/dev/full")

    assert "No space left on device" in refusal(path, overflow)
    assert names_in(tmp_path) == []


def outcomes(rows: int) -> pa.Table:
    probability = np.random.default_rng(1).random(rows)  # not compressible
    return tables.table(
        "outcomes",
        {"group": ["g"] * rows, "cluster": ["c"] * rows, "probability": probability},
    )
