"""Streams the files of a folder, a tar or a zip; nothing is ever extracted to disk.

Archives come from strangers, and a shortened one must not pass for a whole one. So tars are walked
here, header by header, and not with `tarfile.TarFile`, which takes a damaged header and a stream
that ends between two members for the end of the archive (its parser of one header is used).
"""

import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from prism.errors import InputError

LARGEST = 1 << 30  # bytes of a wanted member; a larger one is taken for a decompression bomb
LARGEST_HEADER = 1 << 20  # bytes of what a tar says of one member
CHUNK = 1 << 20
RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")  # of a POSIX extended header: length, key
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError)

Wanted = Callable[[str], bool]
Members = Iterator[tuple[str, bytes]]


def members(path: str | Path, wanted: Wanted) -> Members:
    """Name and content of every wanted file of a folder or an archive, one after another.

    Parameters
    ----------
    path : path
        A folder, a zip, or a tar: plain or compressed with gzip or zstd, as its content says
        whatever it is called.
    wanted : callable
        Says of a name (with ``/`` between its parts) whether the file is wanted.

    Yields
    ------
    name : str
        Relative to the folder or as in the archive, without ``.`` parts. A name that stands in
        an archive twice comes twice.
    content : bytes

    Raises
    ------
    prism.errors.InputError
        If there is nothing at `path`, if it is damaged, truncated or encrypted, or if anything in
        it, wanted or not, is a link, a device, or has a name that leads elsewhere. What was
        yielded before is then the start of something broken: don't use it.
    """
    path = Path(path)
    try:
        if path.is_dir():
            yield from _folder(path, wanted)
            return
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start[:2] == b"PK":
                yield from _zip(path, file, wanted)
            else:
                yield from _tar(path, _plain(file, start), wanted)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file or folder; expected records") from None
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{error.filename or path}: can't be read: {why}") from None


def _refuse(path: Path, name: str, why: str) -> InputError:
    return InputError(f"{path}: {name!r}: {why}")


def _safe(path: Path, name: str) -> str:
    """Name of a member without empty and ``.`` parts, if it leads nowhere else."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise _refuse(path, name, "the name is absolute or a Windows path; expected one inside")
    if ".." in parts:
        raise _refuse(path, name, "the name has a '..' part; expected one inside the archive")
    if not name.isprintable():  # also what is not UTF-8
        raise _refuse(path, name, "the name has characters that can't be printed")
    return "/".join(part for part in parts if part not in ("", "."))


def _fits(path: Path, name: str, size: int) -> None:
    if not 0 <= size <= LARGEST:
        raise _refuse(path, name, f"{size} bytes; a file of at most {LARGEST} was expected")


# ------------------------------------------------------------------------------------- folder


def _fail(error: OSError) -> None:
    raise error


def _folder(path: Path, wanted: Wanted) -> Members:
    found = {}
    for place, folders, files in os.walk(path, onerror=_fail):  # Path.rglob hides errors
        for file in [Path(place, name) for name in folders + files]:
            found[file.relative_to(path).as_posix()] = file
    for name in sorted(found):
        kind = found[name].lstat()
        if stat.S_ISLNK(kind.st_mode):
            raise _refuse(path, name, "a link, which is not followed; expected the file itself")
        if not stat.S_ISDIR(kind.st_mode) and wanted(name):
            if not stat.S_ISREG(kind.st_mode):
                raise _refuse(path, name, "neither a file nor a folder")
            _fits(path, name, kind.st_size)
            yield _safe(path, name), found[name].read_bytes()


# ---------------------------------------------------------------------------------------- zip


def _zip(path: Path, file: BinaryIO, wanted: Wanted) -> Members:
    name = "its table of contents"
    try:
        with zipfile.ZipFile(file) as archive:
            chosen = [(_zip_name(path, entry), entry) for entry in archive.infolist()]
            if _zip_count(file) not in (len(chosen) & 0xFFFF, 0xFFFF):
                raise zipfile.BadZipFile("it names fewer files than it says")
            for name, entry in chosen:
                if not entry.is_dir() and wanted(name):
                    _fits(path, name, entry.file_size)
                    yield name, archive.read(entry)  # checks the CRC
    except (*BROKEN_ZIP, OSError) as error:
        raise _refuse(path, name, f"damaged, truncated or not a plain zip: {error}") from None


def _zip_count(file: BinaryIO) -> int:
    """How many members a zip says it has, modulo 65536; 65535 may stand for any number.

    zipfile does not look: where the length of one name is damaged it reads over the next.
    """
    file.seek(-min(file.seek(0, os.SEEK_END), 22 + 0xFFFF), os.SEEK_END)  # a comment may follow
    tail = file.read()
    at = tail.rindex(b"PK\x05\x06")
    return int.from_bytes(tail[at + 10 : at + 12], "little")


def _zip_name(path: Path, entry: zipfile.ZipInfo) -> str:
    name = _safe(path, entry.orig_filename)
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refuse(path, name, "a link or a device; expected files and folders only")
    if entry.flag_bits & 1:
        raise _refuse(path, name, "encrypted; expected a zip without a password")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refuse(path, name, "a rare compression; expected a zip that stores or deflates")
    return name


# ---------------------------------------------------------------------------------------- tar


def _plain(file: BinaryIO, start: bytes) -> BinaryIO:
    """The stream without its compression; several frames, one after another, are one stream."""
    if start == b"\x28\xb5\x2f\xfd" or start[1:] == b"\x2a\x4d\x18":  # pzstd begins so
        codec = "zstd"
    elif start[:2] == b"\x1f\x8b":
        codec = "gzip"
    else:
        return file
    # both notice the end of the file inside a frame, and check the checksums that frames have
    return io.BufferedReader(pa.CompressedInputStream(file, codec), CHUNK)


def _read(path: Path, stream: BinaryIO, size: int, place: str) -> bytes:
    try:
        content = stream.read(size)
    except OSError as error:
        raise InputError(f"{path}: {place}: damaged or truncated: {error}") from None
    if len(content) < size:
        raise InputError(f"{path}: {place}: truncated: the archive ends there")
    return content


def _skip(path: Path, stream: BinaryIO, size: int, place: str) -> None:
    while size:
        size -= len(_read(path, stream, min(size, CHUNK), place))


def _tar(path: Path, stream: BinaryIO, wanted: Wanted) -> Members:
    place = "at its start"
    said: dict[str, str] = {}  # by extended headers, of the member that follows
    while (entry := _entry(path, stream, place)) is not None:
        if entry.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
            said |= _extended(path, stream, entry, place)
            continue
        name = _safe(path, said.get("path", entry.name))
        place = f"at {name!r}"
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise _refuse(path, name, "a link, a device or a part of a file; expected whole files")
        if entry.type != tarfile.DIRTYPE:
            size = int(said.get("size", entry.size))
            keep = wanted(name)
            if keep or size < 0:
                _fits(path, name, size)
            if keep:
                yield name, _read(path, stream, size, place)
            _skip(path, stream, -size % 512 if keep else size + -size % 512, place)
        said = {}
    _end(path, stream, place)


def _entry(path: Path, stream: BinaryIO, place: str) -> tarfile.TarInfo | None:
    """The next header; None at the end of the archive."""
    header = _read(path, stream, tarfile.BLOCKSIZE, place)
    if not header.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise InputError(
            f"{path}: {place}: not a folder, a zip or a tar (plain, gzip, zstd), or a damaged "
            f"one: {error}"
        ) from None


def _end(path: Path, stream: BinaryIO, place: str) -> None:
    """Check that a second block of zeros follows, and after it nothing but zeros to the end."""
    rest = _read(path, stream, tarfile.BLOCKSIZE, place)
    while rest:
        if rest.strip(b"\0"):
            raise InputError(f"{path}: {place}: damaged: something follows the end of the archive")
        try:
            rest = stream.read(CHUNK)
        except OSError as error:
            raise InputError(f"{path}: {place}: damaged or truncated: {error}") from None


def _extended(path: Path, stream: BinaryIO, entry: tarfile.TarInfo, place: str) -> dict[str, str]:
    """What an extended header says of the path and the size of the member that follows.

    GNU tar writes a long name as a member of its own, POSIX (pax) records ``length key=value``,
    which `git archive` also writes for all members together, with the commit as a comment.
    """
    if not 0 <= entry.size <= LARGEST_HEADER:
        raise InputError(f"{path}: {place}: damaged: an extended header of {entry.size} bytes")
    content = _read(path, stream, entry.size, place)
    _skip(path, stream, -entry.size % 512, place)
    if entry.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    said, at = {}, 0
    while at < len(content):
        record = RECORD.match(content, at)
        end = at + int(record[1]) if record else 0
        if not record or end <= record.end() or content[end - 1 : end] != b"\n":
            raise InputError(f"{path}: {place}: damaged: an extended header that can't be read")
        said[record[2].decode("utf-8", "replace")] = content[record.end() : end - 1]
        at = end
    if any(key.startswith("GNU.sparse.") for key in said) or (
        entry.type == tarfile.XGLTYPE and said.keys() & {"path", "size"}
    ):
        raise InputError(f"{path}: {place}: parts of files; expected whole files")
    if not re.fullmatch(rb"\d{1,20}", said.get("size", b"0")):
        raise InputError(f"{path}: {place}: damaged: a size that is no number")
    return {
        key: said[key].decode("utf-8", "surrogateescape") for key in ("path", "size") if key in said
    }
