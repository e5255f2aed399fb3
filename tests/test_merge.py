"""Every raw record ends in the builds table or in the rejected one, with the reason."""

import random
from pathlib import Path, PurePosixPath

import pytest

from prism import tables
from prism.errors import InputError
from prism.records.merge import read_records

OK = ("SUCCESS", "Not Scheduled")
FAILED = ("FAILED", "Root Failure")


def spec(*names: str, version: str = "1.10") -> str:
    """A concrete spec; its nodes' versions are version, version0, version1 …"""
    text = "spec:\n  _meta:\n    version: 2\n  nodes:\n"
    for number, name in enumerate(names):
        text += f"  - name: {name}\n    version: {version}{number - 1 if number else ''}\n"
        text += "    compiler:\n      name: gcc\n      version: 9.3.1\n"
    return text


def labels(*rows: tuple[str, str, tuple[str, str]]) -> str:
    lines = [f"{build},{package},{status},{reason}" for build, package, (status, reason) in rows]
    return "\n".join(["full_hash,name,Status,Reason", *lines, ""])


def merged(folder: Path, files: dict[str, str], inside: str = "") -> tuple[list[dict], ...]:
    """Rows of builds, rejected and nodes of a folder with these files."""
    write(folder, files)
    return rows_of(read_records([(folder, inside)]))


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def rows_of(found: tuple) -> tuple[list[dict], ...]:
    return tuple(table.to_pylist() for table in found)


def why_of(rejected: list[dict]) -> dict[str, str]:
    assert len({row["record"] for row in rejected}) == len(rejected)
    return {row["record"]: row["why"] for row in rejected}


GOOD = {"specs/good.yaml": spec("velora"), "labels/good.csv": labels(("good", "velora", OK))}


def test_successes_and_root_failures_are_kept(tmp_path):
    files = {
        "labels/velora.csv": labels(("b", "velora", OK), ("a", "velora", FAILED)),
        "labels/abyss.csv": labels(("c", "abyss", OK)),
        "specs/a.yaml": spec("velora", "zlib", version="9e"),
        "specs/b.yaml": spec("velora"),
        "specs/c.yaml": spec("abyss"),
        "README.md": "not a record",
        "specs/notes.txt": "nor is this",
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert rejected == []
    assert [tuple(row.values()) for row in builds] == [
        ("c", "abyss", "1.10", True, "Not Scheduled"),
        ("a", "velora", "9e", False, "Root Failure"),
        ("b", "velora", "1.10", True, "Not Scheduled"),
    ]


def test_nodes_stand_in_the_order_of_builds_and_of_their_specs(tmp_path):
    files = {
        "labels/velora.csv": labels(("b", "velora", OK), ("a", "velora", FAILED)),
        "specs/b.yaml": spec("velora", "zlib", "abyss", "zlib", version="2"),
        "specs/a.json": '{"spec": {"nodes": [{"name": "velora", "version": 1.10, "parameters":'
        ' {"pic": true}, "arch": {"platform": "linux", "platform_os": "rhel7", "target": "x"}}]}}',
    }
    _, _, nodes = merged(tmp_path, files)
    assert [(row["build"], row["node"], row["version"]) for row in nodes] == [
        ("a", "velora", "1.10"),
        ("b", "velora", "2"),
        ("b", "zlib", "20"),
        ("b", "abyss", "21"),
        ("b", "zlib", "22"),
    ]
    stated = ("os", "platform", "target", "compiler", "compiler_version", "variants")
    assert [nodes[0][name] for name in stated] == [
        "rhel7", "linux", "x", None, None, '{"pic": "true"}']  # fmt: skip
    assert [nodes[1][name] for name in stated] == [None, None, None, "gcc", "9.3.1", "{}"]


@pytest.mark.parametrize(
    ("rows", "record", "why"),
    [
        ([("x", "v", ("FAILED", "Dependency"))], "row 1, x", "not a root failure: Dependency"),
        ([("x", "v", ("FAILED", ""))], "row 1, x", "not a root failure: no reason given"),
        ([("x", "v", ("PENDING", ""))], "row 1, x", "unknown status 'PENDING', expected SUCCESS"),
        ([("x", "v", ("", ""))], "row 1, x", "unknown status '', expected SUCCESS or FAILED"),
        ([("x", "v", ("success", ""))], "row 1, x", "unknown status 'success'"),
        ([("x", "v", OK), ("x", "v", FAILED)], "row 2, x", "conflicting: success and root failure"),
        ([("x", "w", OK)], "row 1, x", "the label is of package w, its spec of v"),
        ([("y", "v", OK), ("x", "v", ("DONE", ""))], "row 1, y", "label without a spec"),
        ([("", "v", OK), ("x", "v", ("DONE", ""))], "row 1, ", "label without a spec"),
        ([], "specs/x.yaml", "spec without a label"),
    ],
)
def test_a_record_that_does_not_count_is_rejected(tmp_path, rows, record, why):
    files = GOOD | {"labels/v.csv": labels(*rows), "specs/x.yaml": spec("v")}
    builds, rejected, nodes = merged(tmp_path, files)
    assert [row["build"] for row in builds] == [row["build"] for row in nodes] == ["good"]
    assert why_in(rejected, record).startswith(why)


def why_in(rejected: list[dict], record: str) -> str:
    (why,) = (row["why"] for row in rejected if row["record"].endswith(record))
    return why


def test_a_duplicate_label_is_rejected_and_the_build_kept(tmp_path):
    files = {
        "labels/v.csv": labels(("x", "v", OK), ("x", "v", OK), ("x", "v", ("FAILED", "Timeout"))),
        "specs/x.yaml": spec("v"),
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert [(row["build"], row["success"]) for row in builds] == [("x", True)]
    assert why_of(rejected) == {
        "labels/v.csv, row 2, x": "duplicate: the build has a label already",
        "labels/v.csv, row 3, x": "not a root failure: Timeout",
    }


@pytest.mark.parametrize(
    "text", ["", "spec:\n\tx", "spec: {}", spec("v").replace("version: 1", ": ")]
)
def test_an_unreadable_spec_takes_its_label_with_it(tmp_path, text):
    files = GOOD | {"labels/v.csv": labels(("x", "v", OK)), "specs/x.yaml": text}
    builds, rejected, _ = merged(tmp_path, files)
    assert [row["build"] for row in builds] == ["good"]
    assert why_in(rejected, "specs/x.yaml").startswith("spec can't be read: ")
    assert why_in(rejected, "labels/v.csv, row 1, x") == "its spec was rejected"
    assert not any("\n" in row["why"] for row in rejected)


def test_the_same_spec_twice_is_one_build_and_another_one_a_conflict(tmp_path):
    files = GOOD | {
        "labels/v.csv": labels(("x", "v", OK), ("y", "v", OK)),
        "specs/x.yaml": spec("v", "zlib"),
        "again/x.yaml": spec("v", "zlib") + "    namespace: builtin\n",
        "specs/y.yaml": spec("v", "zlib"),
        "again/y.yaml": spec("v", "zlib", "abyss"),
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert [row["build"] for row in builds] == ["x", "good"]
    label, file = rejected
    assert (label["record"], label["why"]) == ("labels/v.csv, row 2, y", "its spec was rejected")
    assert file["record"] in ("specs/y.yaml", "again/y.yaml")
    assert file["why"] == "conflicting: another spec has the same hash"


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", "..", ".hidden", "-rf", "a b", "a*", "ünder", "x" * 300]
)
def test_a_package_whose_name_is_no_file_name_is_rejected(tmp_path, name):
    files = GOOD | {"labels/v.csv": labels(("x", name, OK)), "specs/x.yaml": spec(f"'{name}'")}
    files |= {"working/y.yaml": spec(f"'{name}'")}
    builds, rejected, _ = merged(tmp_path, files)
    assert [row["build"] for row in builds] == ["good"]
    wanted = "the package's name is not safe in a file name"
    assert {row["why"] for row in rejected} == {wanted}
    assert len(rejected) == 2


def test_text_that_no_table_can_hold_is_rejected(tmp_path):
    """Half a character, which JSON can spell."""
    text = '{"spec": {"nodes": [{"name": "v", "version": "\\ud800"}]}}'
    builds, rejected, _ = merged(tmp_path, GOOD | {"working/x.json": text})
    assert [row["build"] for row in builds] == ["good"]
    assert why_in(rejected, "working/x.json").startswith("spec can't be read: ")


# ------------------------------------------------------------------------------------- folders


def test_folders_say_what_labels_do_not(tmp_path):
    files = {
        "working/a.yaml": spec("v"),
        "errors/b.yaml": spec("v"),
        "working/c.yaml": spec("v"),
        "errors/c.yaml": spec("v"),
        "other/d.yaml": spec("v"),
        "working/e.yaml": spec("v"),
        "other/e.yaml": spec("v"),
        "errors/deep/f.yaml": spec("v"),
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert {row["build"]: (row["success"], row["reason"]) for row in builds} == {
        "a": (True, None), "b": (False, None), "e": (True, None), "f": (False, None)}  # fmt: skip
    assert why_of(rejected) == {
        "errors/c.yaml; working/c.yaml": "conflicting: success and root failure",
        "other/d.yaml": "spec without a label",
    }


def test_a_label_overrules_folders(tmp_path):
    files = {
        "labels/v.csv": labels(*((build, "v", FAILED) for build in "abc")),
        "working/a.yaml": spec("v"),
        "errors/b.yaml": spec("v"),
        "working/c.yaml": spec("v"),
        "errors/c.yaml": spec("v"),
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert [(row["build"], row["success"]) for row in builds] == [
        ("a", False), ("b", False), ("c", False)]  # fmt: skip
    why = "overruled: the build's label says the contrary"
    assert why_of(rejected) == {"working/a.yaml": why, "working/c.yaml": why}


def test_a_label_that_does_not_count_overrules_folders_too(tmp_path):
    """A build that failed for a dependency says nothing of its package."""
    files = GOOD | {
        "labels/v.csv": labels(("x", "v", ("FAILED", "Dependency"))),
        "errors/x.yaml": spec("v"),
    }
    builds, rejected, _ = merged(tmp_path, files)
    assert [row["build"] for row in builds] == ["good"]
    assert why_of(rejected) == {"labels/v.csv, row 1, x": "not a root failure: Dependency"}


def test_only_the_folder_that_counts_is_read(tmp_path):
    files = {f"top/data/{name}": text for name, text in GOOD.items()}
    files |= {"top/labels/broken.csv": "x", "top/mydata/specs/x.yaml": "", "data.csv": "x"}
    for inside in ("data", "/data/", "top/data"):
        builds, rejected, _ = merged(tmp_path, files, inside)
        assert [row["build"] for row in builds] == ["good"]
        assert rejected == []


@pytest.mark.parametrize("inside", ["data/working", "data"])
def test_the_folder_that_counts_may_itself_be_called_working(tmp_path, inside):
    builds, _, _ = merged(tmp_path, {"data/working/x.yaml": spec("v")}, inside)
    assert [row["success"] for row in builds] == [True]


def test_sources_are_joined(tmp_path):
    write(tmp_path / "one", {"v.csv": labels(("x", "v", FAILED))})
    write(tmp_path / "two", {"working/x.yaml": spec("v"), "working/y.yaml": spec("v")})
    sources = [(tmp_path / "one", ""), (tmp_path / "two", "")]
    for order in (sources, sources[::-1]):
        builds, rejected, _ = rows_of(read_records(order))
        assert [(row["build"], row["success"]) for row in builds] == [("x", False), ("y", True)]
        assert [row["why"].partition(":")[0] for row in rejected] == ["overruled"]


def test_a_file_that_is_all_suffix_is_no_label_table(tmp_path):
    builds, rejected, _ = merged(tmp_path, GOOD | {"specs/.yaml": spec("v")})
    assert [row["build"] for row in builds] == ["good"]
    assert len(rejected) == 1


@pytest.mark.parametrize("files", [{}, {"README.md": "x"}, {"specs/x.yaml": spec("v")}])
def test_no_builds_is_one_line(tmp_path, files):
    with pytest.raises(InputError, match=r"no builds: expected label tables .* and concrete specs"):
        merged(tmp_path, files)


def test_a_label_table_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError) as error:
        merged(tmp_path, GOOD | {"labels/v.csv": "x,y\n1,2\n"})
    assert str(error.value).startswith(f"{tmp_path}: labels/v.csv: no column")


# -------------------------------------------------------------------------------- conservation


def any_files(rng: random.Random) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Files of all sorts, and the rows of label tables among them: (record, build, status)."""
    files, rows = {}, []
    builds = [f"h{n}" for n in range(12)]
    for folder in ("working", "errors", "specs", "more"):
        for build in rng.sample(builds, rng.randrange(10)):
            roots = ["v"] * 8 + ["w", "../w"]
            text = spec(*(f"'{rng.choice(roots)}'" for _ in range(rng.choice((1, 1, 2)))))
            files[f"{folder}/{build}.yaml"] = rng.choice([text] * 7 + ["spec: ["])
    for table in ("v", "w"):
        of_table = [
            (rng.choice(builds), rng.choice("vvvw"),
             rng.choice([OK, OK, FAILED, FAILED, ("FAILED", "other"), ("ODD", "")]))
            for _ in range(rng.randrange(12))
        ]  # fmt: skip
        files[f"labels/{table}.csv"] = labels(*of_table)
        for number, (build, _, status) in enumerate(of_table, 1):
            rows.append((f"labels/{table}.csv, row {number}, {build}", build, status))
    return files, rows


@pytest.mark.parametrize("seed", range(60))
def test_every_record_is_kept_or_rejected(tmp_path, seed):
    files, rows = any_files(random.Random(seed))
    files |= GOOD
    found = read_all(tmp_path, files)
    builds, rejected, nodes = rows_of(found)
    kept = {row["build"]: row for row in builds}
    assert list(kept) == sorted(kept, key=lambda build: (kept[build]["package"], build))
    assert rejected == sorted(rejected, key=lambda row: (row["record"], row["why"]))
    named = {record for row in rejected for record in row["record"].split("; ")}
    assert named <= {record for record, _, _ in rows} | files.keys()
    hashes = {PurePosixPath(name.rpartition(", ")[2]).stem for name in named}

    for build, row in kept.items():  # a build's own label is the one that is not rejected
        own = [(record, status) for record, of, status in rows if of == build]
        left = [status for record, status in own if record not in named]
        assert left in ([], [OK], [FAILED]) or build == "good"
        if left:
            assert row["success"] == (left[0] == OK)
        specs = {files[name] for name in files if PurePosixPath(name).stem == build} - {""}
        assert len({text for text in specs if text.startswith("spec")}) == 1
    for _, build, _ in rows:
        assert (build in kept) or (build in hashes)
    for name in files:
        if name.endswith(".yaml"):
            build = PurePosixPath(name).stem
            assert (build in kept) or (build in hashes)
    assert [row["build"] for row in nodes] == [
        build for build in kept for row in nodes if row["build"] == build
    ]
    assert {row["build"] for row in nodes} == set(kept)
    for build, row in kept.items():
        assert next(node["node"] for node in nodes if node["build"] == build) == row["package"]


def read_all(folder: Path, files: dict[str, str]) -> tuple:
    """The three tables, which can be written and are the same whichever way files are read."""
    write(folder, files)
    found = read_records([(folder, "")])
    for name, table in zip(("builds", "rejected", "nodes"), found, strict=True):
        tables.write(folder / f"{name}.table", name, table)
        assert tables.read(folder / f"{name}.table", name).to_pylist() == table.to_pylist()
    return found
