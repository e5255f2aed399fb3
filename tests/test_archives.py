"""A folder or an archive yields exactly its files, or one line that says what is wrong with it."""

import gzip
import io
import os
import stat
import subprocess
import tarfile
import warnings
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism.errors import InputError
from prism.records import archives
from prism.records.archives import members

FILES = {
    "a/labels/abyss.csv": b",name\n",
    "a/specs/empty.yaml": b"",
    "a/specs/full.yaml": b"x" * 512,
    "a/specs/" + "long" * 50 + ".yaml": b"long name",
    "a/specs/\u00fc.yaml": b"y" * 3000,
}
COMMON = st.binary(max_size=1200)
LETTERS = st.characters(codec="utf-8", categories=["L", "N", "P"], exclude_characters="/\\:")
NAMES = st.lists(
    st.text(LETTERS, min_size=1, max_size=90).filter(lambda part: part not in (".", "..")),
    min_size=1,
    max_size=4,
).map("/".join)


def every(_: str) -> bool:
    return True


def make_tar(files, form=tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("a/")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def odd_tar(**odd) -> bytes:
    """A tar of two files and, between them, a member with the attributes given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("first"))
        entry = tarfile.TarInfo("odd")
        for name, value in odd.items():
            setattr(entry, name, value)
        archive.addfile(entry)
        archive.addfile(tarfile.TarInfo("last"))
    return out.getvalue()


def make_zip(files, method=zipfile.ZIP_DEFLATED, **odd) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            for key, value in odd.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


PACKED = {
    "tar": make_tar,
    "tar (GNU)": lambda files: make_tar(files, tarfile.GNU_FORMAT),
    "tar.gz": lambda files: gzip.compress(make_tar(files)),
    "tar.zst": lambda files: zstd(make_tar(files)),
    "zip": make_zip,
    "stored zip": lambda files: make_zip(files, zipfile.ZIP_STORED),
}


def read(tmp_path, data: bytes) -> list[tuple[str, bytes]]:
    path = tmp_path / "records"  # no suffix: the content says what it is
    path.write_bytes(data)
    return list(members(path, every))


def refused(tmp_path, data: bytes, *says: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, data)
    assert str(tmp_path / "records") in str(error.value)
    for text in says:
        assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", PACKED)
def test_archives_yield_their_files(tmp_path, kind):
    assert read(tmp_path, PACKED[kind](FILES)) == list(FILES.items())


@pytest.mark.parametrize("kind", PACKED)
def test_only_the_wanted_are_read(tmp_path, kind):
    path = tmp_path / "x"
    path.write_bytes(PACKED[kind](FILES))
    found = dict(members(path, lambda name: name.endswith(".csv")))
    assert found == {"a/labels/abyss.csv": b",name\n"}


def test_folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert list(members(tmp_path, every)) == sorted(FILES.items())
    assert list(members(str(tmp_path), lambda name: "labels" in name)) == [
        ("a/labels/abyss.csv", b",name\n")
    ]


@settings(max_examples=50)
@given(files=st.dictionaries(NAMES, COMMON, max_size=5), form=st.sampled_from([0, 1, 2]))
def test_tar_reads_what_tarfile_writes(tmp_path_factory, files, form):
    files = {n: c for n, c in files.items() if not any(k.startswith(n + "/") for k in files)}
    try:
        data = make_tar(files, form)
    except ValueError:  # the oldest form can't hold every name
        data = make_tar(files)
    assert read(tmp_path_factory.mktemp("tar"), data) == list(files.items())


def test_dot_parts_are_left_out_and_duplicates_come_twice(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("./a//b", "a/./b"):
            archive.addfile(tarfile.TarInfo(name))
    assert read(tmp_path, out.getvalue()) == [("a/b", b""), ("a/b", b"")]
    with warnings.catch_warnings(action="ignore"):
        twice = io.BytesIO()
        with zipfile.ZipFile(twice, "w") as archive:
            archive.writestr("b", "1")
            archive.writestr("b", "2")
    assert read(tmp_path, twice.getvalue()) == [("b", b"1"), ("b", b"2")]


def test_what_git_and_tar_write(tmp_path):
    for name, content in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)

    def run(*command):
        alone = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(command, cwd=tmp_path / "in", env=alone, check=True, capture_output=True)

    for form in ("gnu", "pax", "v7", "ustar"):
        out = tmp_path / f"{form}.tar"
        files = [name for name in FILES if len(name) < 90]
        run("tar", f"--format={form}", "-cf", out, "--", *files)
        assert dict(members(out, every)) == {name: FILES[name] for name in files}
    run("git", "init", "-q")
    run("git", "add", ".")
    run("git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "x")
    run("git", "archive", "-o", "../git.tar", "--prefix=p/", "HEAD")
    found = dict(members(tmp_path / "git.tar", every))  # has a global extended header
    assert found == {f"p/{name}": content for name, content in FILES.items()}


def test_frames_one_after_another_are_one_stream(tmp_path):
    data = make_tar(FILES)
    for pack in (zstd, gzip.compress):
        assert read(tmp_path, pack(data[:700]) + pack(data[700:])) == list(FILES.items())
        refused(tmp_path, pack(data[:512]))  # ends between two frames and two members
        refused(tmp_path, pack(data) + b"garbage", "damaged")
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0size"  # what pzstd writes before each frame
    assert read(tmp_path, skipped + zstd(data)) == list(FILES.items())


@pytest.mark.parametrize("kind", PACKED)
def test_truncation_at_every_byte_is_noticed(tmp_path, kind):
    data = PACKED[kind]({"a/b": b"12", "a/c": os.urandom(600), "a/d": b""})
    # what follows the second block of zeros of a plain tar is padding
    end = len(data.rstrip(b"\0")) // 512 * 512 + 1536 if kind in ("tar", "tar (GNU)") else len(data)
    assert len(read(tmp_path, data[:end])) == 3
    path = tmp_path / "records"
    for size in range(end - 1, -1, -1):
        os.truncate(path, size)
        with pytest.raises(InputError):
            list(members(path, every))


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "stored zip"])
def test_damage_is_noticed_or_harmless(tmp_path, kind):
    files = {"a/b": b"12" * 300, "a/c": os.urandom(300)}
    data = PACKED[kind](files)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        try:
            found = read(tmp_path, bytes(damaged))
        except InputError:
            continue
        if "zip" not in kind:
            assert found == list(files.items())  # the checksums of the frames
        else:
            assert [content for _, content in found] == list(files.values())  # CRC of each


def test_damaged_headers_never_shorten_a_tar(tmp_path):
    data = make_tar({"a/b": b"", "a/c": b"12"}, tarfile.USTAR_FORMAT)
    for at in range(0, 1536, 3):
        damaged = bytearray(data)
        damaged[at] ^= 1
        try:
            assert read(tmp_path, bytes(damaged)) == [("a/b", b""), ("a/c", b"12")]
        except InputError:
            continue
        assert at % 512 in range(148, 156)  # the blanks of the checksum itself
    refused(tmp_path, data + b"more", "something follows the end")
    refused(tmp_path, data + data, "something follows the end")


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({"name": "/etc/passwd"}, "absolute"),
        ({"name": "a/../../b"}, "'..'"),
        ({"name": ".."}, "'..'"),
        ({"name": "a\\b"}, "Windows"),
        ({"name": "c:x"}, "Windows"),
        ({"name": "a\nb"}, "can't be printed"),
        ({"name": "a\udcffb"}, "can't be printed"),
        ({"name": "\x1b[2J"}, "can't be printed"),
        ({"name": "../" + "long/" * 40}, "'..'"),
        ({"type": tarfile.SYMTYPE, "linkname": "first"}, "link"),
        ({"type": tarfile.LNKTYPE, "linkname": "first"}, "link"),
        ({"type": tarfile.FIFOTYPE}, "device"),
        ({"type": tarfile.CHRTYPE}, "device"),
        ({"type": tarfile.BLKTYPE}, "device"),
        ({"type": tarfile.GNUTYPE_SPARSE}, "whole files"),
        ({"type": b"V"}, "whole files"),
        ({"pax_headers": {"GNU.sparse.major": "1"}}, "whole files"),
        ({"pax_headers": {"path": "../x"}}, "'..'"),
        ({"pax_headers": {"size": "-512"}}, "no number"),
        ({"pax_headers": {"size": "9" * 5000}}, "no number"),
        ({"pax_headers": {"size": str(1 << 40)}}, "bytes"),
        ({"pax_headers": {"comment": "x" * (2 << 20)}}, "extended header"),
    ],
)
def test_odd_members_of_a_tar_refuse_it(tmp_path, odd, says):
    refused(tmp_path, odd_tar(**odd), says)
    with pytest.raises(InputError):  # the unwanted too; a large one is no danger, just truncated
        path = tmp_path / "records"
        list(members(path, lambda name: name == "first"))


def test_odd_headers_of_a_tar_refuse_it(tmp_path):
    def header(**odd) -> bytes:
        entry = tarfile.TarInfo("x")
        for name, value in odd.items():
            setattr(entry, name, value)
        return entry.tobuf(tarfile.GNU_FORMAT)

    end = bytes(1024)
    refused(tmp_path, header(size=-1024) + end, "'x'")
    refused(tmp_path, header(type=tarfile.XHDTYPE, size=1 << 40) + end, "extended header")
    for record in (b"5 a=\n9", b"99 a=b\n", b"0 a=b\n", b"4 =b\n", b"x", b"6 a=bcd\n"):
        block = header(type=tarfile.XHDTYPE, size=len(record)) + record.ljust(512, b"\0")
        refused(tmp_path, block + header() + end, "damaged")
    record = b"10 path=y\n"
    block = header(type=tarfile.XGLTYPE, size=len(record)) + record.ljust(512, b"\0")
    refused(tmp_path, block + header() + end)


@pytest.mark.parametrize(
    ("name", "odd", "says"),
    [
        ("/etc/passwd", {}, "absolute"),
        ("a/../b", {}, "'..'"),
        ("a\\b", {}, "Windows"),
        ("C:/b", {}, "Windows"),
        ("a\nb", {}, "can't be printed"),
        ("odd", {"external_attr": (stat.S_IFLNK | 0o777) << 16}, "link"),
        ("odd", {"external_attr": (stat.S_IFIFO | 0o777) << 16}, "device"),
    ],
)
def test_odd_members_of_a_zip_refuse_it(tmp_path, name, odd, says):
    refused(tmp_path, make_zip({name: b"x"}, **odd), says)


def test_zips_that_are_not_plain(tmp_path):
    locked = bytearray(make_zip({"a": b"x"}))
    locked[6] |= 1  # the flag in the local header, and in the table of contents
    locked[locked.index(b"PK\1\2") + 8] |= 1
    refused(tmp_path, bytes(locked), "encrypted")
    refused(tmp_path, make_zip({"a": b"x"}, zipfile.ZIP_BZIP2), "rare compression")


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 1000)
    for pack in PACKED.values():
        refused(tmp_path, pack({"a/big": bytes(1001)}), "'a/big'", "1001 bytes")
        (tmp_path / "x").write_bytes(pack({"a/big": bytes(1001), "b": b"1"}))
        assert list(members(tmp_path / "x", lambda name: name == "b")) == [("b", b"1")]
    (tmp_path / "x").write_bytes(bytes(1001))
    with pytest.raises(InputError, match="1001 bytes"):
        list(members(tmp_path, lambda name: name == "x"))


def test_what_is_not_an_archive(tmp_path):
    refused(tmp_path, b"")
    refused(tmp_path, b"hello\n")
    refused(tmp_path, b"hello\n" * 1000, "not a folder, a zip or a tar")
    refused(tmp_path, zstd(b"hello\n" * 1000), "not a folder, a zip or a tar")
    with pytest.raises(InputError, match=r"nothing\.zip: no such file or folder"):
        list(members(tmp_path / "nothing.zip", every))


def test_odd_files_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    assert list(members(tmp_path, lambda name: name == "file")) == [("file", b"1")]
    with pytest.raises(InputError, match="'pipe': neither a file nor a folder"):
        list(members(tmp_path, every))
    (tmp_path / "pipe").unlink()
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(InputError, match="'loop': a link"):
        list(members(tmp_path, every))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "file").chmod(0)
    with pytest.raises(InputError, match="file: can't be read: Permission denied"):
        list(members(tmp_path, every))


def test_published_archive(published):
    path = published("error-analysis-ce8be020.tar.zst")
    sizes = [len(content) for _, content in members(path, lambda name: name.endswith(".yaml"))]
    assert (len(sizes), sum(sizes)) == (27063, 714102877)
