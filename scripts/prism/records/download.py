"""Gets raw records into one file: a folder of a git repository, or an archive by URL.

What arrives is what was asked for: git names everything by its content, so the pinned commit
vouches for the folder, and an archive has its checksum. Addresses can hold secrets: messages
show them without.
"""

import hashlib
import http
import http.client
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from prism.errors import InputError
from prism.tables import replacing

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
PROGRESS = 5.0  # seconds between two lines

# Nothing in the user's or the system's settings may run a program, start a background job or
# change a byte of the files; url.insteadOf, proxies and credentials stay as they are.
SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "fetch.negotiationAlgorithm": "noop",  # there is nothing here to tell of
    "http.lowSpeedLimit": "1",  # bytes a second, for so many seconds
    "http.lowSpeedTime": "60",
    "tar.umask": "0022",
    "protocol.ext.allow": "never",
}
# export-ignore and export-subst would make `git archive` drop and change files
ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding -export-ignore -export-subst\n"
HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.FileHandler,
    urllib.request.UnknownHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
)  # all of urllib's but ftp and data, to which a server may redirect
FETCH = ("fetch", "--quiet", "--no-tags")
KEPT = ("GIT_SSH", "GIT_SSL", "GIT_PROXY", "GIT_ASKPASS", "GIT_CONFIG_")


def fetch(source: Mapping[str, str], out: str | Path) -> None:
    """Get one source of raw records into the file `out`, whole or not at all.

    Parameters
    ----------
    source : mapping
        Either ``git`` (address), ``commit`` (full hash) and ``folder``, or ``url`` and ``sha256``.
    out : path
        The archive: what `git archive` makes of the folder, compressed with zstd; or the bytes
        behind the URL.

    Raises
    ------
    prism.errors.InputError
        If the source can't be had or is not what was pinned, or `out` can't be written.
    """
    if "git" in source:
        fetch_folder(source["git"], source["commit"], source["folder"], out)
    else:
        fetch_archive(source["url"], source["sha256"], out)


def shown(url: str) -> str:
    """The address without user, password and query, which may be secret."""
    return _hide(re.sub("[?#].*", "", url))


def _hide(text: object) -> str:
    return re.sub(r"(?<=://)[^/\s]*@", "", str(text))


def check(path: str | Path, sha256: str) -> None:
    """Check that a file is what it was when its checksum was noted.

    Raises
    ------
    prism.errors.InputError
        If it is not, or can't be read.
    """
    try:
        found = _sha256(path)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from None
    if found != sha256.lower():
        raise InputError(
            f"{path}: sha256 is {found}, expected {sha256}: the file was changed or is incomplete"
        )


def _sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------------------------------- git


def fetch_folder(url: str, commit: str, folder: str, out: str | Path) -> None:
    """Get a folder of a git repository at a commit, without history and the files of others.

    Parameters
    ----------
    url : str
        https, http, ssh or file, also ``user@host:path``.
    commit : str
        Full hash.
    folder : str
        Path in the repository; empty for all of it.
    out : path
        A tar.zst, the same bytes every time; its names start with the repository's name, the
        start of the commit, and the folder.

    Raises
    ------
    prism.errors.InputError
        If there is no such repository, commit or folder, or the connection breaks.
    """
    folder = folder.strip("/")
    _check_git(url, commit, folder)
    out = Path(out)
    with _beside(out) as work:
        _git(work, url, "init", "--quiet", "--bare", "--template=")
        Path(work, "info").mkdir(exist_ok=True)
        Path(work, "info", "attributes").write_text(ATTRIBUTES)
        _git(work, url, "remote", "add", "origin", url)
        _fetch_commit(work, url, commit)
        _fetch_files(work, url, commit, folder)
        _pack(work, url, commit, folder, out)


def _check_git(url: str, commit: str, folder: str) -> None:
    if not re.fullmatch(r"(https?|ssh|file)://[^-\s]\S*|[\w.]+@[\w.][\w.-]*:[^:\s]\S*", url):
        raise InputError(f"{shown(url)}: not a git address; expected https, http, ssh or file")
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise InputError(f"{shown(url)}: commit {commit!r}: expected a full hash (40 hex digits)")
    parts = folder.split("/")
    if folder.startswith("-") or ".." in parts or "." in parts or not folder.isprintable():
        raise InputError(f"{shown(url)}: folder {folder!r}: expected a path in the repository")


@contextmanager
def _beside(out: Path) -> Iterator[str]:
    """A temporary folder on the disk of `out`; those of killed runs are removed."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for left in out.parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(out.name)}\.\w+\.git", left.name):
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", suffix=".git", dir=out.parent, ignore_cleanup_errors=True
        ) as work:
            yield work
    except OSError as error:
        raise InputError(f"{out}: can't be written: {error.strerror or error}") from None


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(KEPT)}
    return kept | {
        "GIT_ALLOW_PROTOCOL": "https:ssh:file:http",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _command(work: str, *arguments: str) -> dict:
    settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
    return {
        "args": ["git", "-C", work, *settings, *arguments],
        "env": _environment(),
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "start_new_session": True,  # without a terminal ssh can't ask either
    }


def _git(work: str, url: str, *arguments: str, given: str = "") -> str:
    """What a git command prints; prints a line now and then while it works."""
    start, text = time.monotonic(), given.encode() or None
    try:
        process = subprocess.Popen(**_command(work, *arguments), stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise InputError(f"{shown(url)}: needs git, which is not installed") from None
    with process:
        try:
            while True:
                try:
                    said, errors = process.communicate(text, timeout=PROGRESS)
                    break
                except subprocess.TimeoutExpired:
                    text, seconds = None, time.monotonic() - start  # it has the text
                    print(f"{shown(url)}: git {arguments[0]}: {seconds:.0f} s", flush=True)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        why = _hide(errors.decode(errors="replace"))
        raise InputError(f"{shown(url)}: git {arguments[0]} failed: {why}")
    return said.decode(errors="replace").strip()


def _fetch_commit(work: str, url: str, commit: str) -> None:
    """Get the commit and its folders, not yet the files, if the server can do that."""
    print(f"{shown(url)}: fetching commit {commit}", flush=True)
    try:
        _git(work, url, *FETCH, "--filter=blob:none", "--depth=1", "origin", commit)
    except InputError as error:
        # servers of older protocols give only all that branches and tags point to
        if not re.search("unadvertised object|not our ref|does not support", str(error)):
            raise
        print(f"{shown(url)}: fetching all of it, as the server gives no less", flush=True)
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _git(work, url, *FETCH, "--no-filter", "origin", *everything)


def _fetch_files(work: str, url: str, commit: str, folder: str) -> None:
    """Get the missing files of the folder, all at once, as `git checkout` would in a work tree.

    What arrives is named by its content, so that nothing else can stand in for it.
    """
    for name, kind, what in (
        (commit, "commit", f"commit {commit}"),
        (f"{commit}:{folder}", "tree", f"folder {folder!r} in commit {commit}"),
    ):
        try:
            found = _git(work, url, "cat-file", "-t", name)
        except InputError:
            found = "nothing"
        if found != kind:
            raise InputError(f"{shown(url)}: no {what}")
    entries = _git(work, url, "ls-tree", "-r", "-z", f"{commit}:{folder}").split("\0")
    files = {entry.split()[2] for entry in entries if " blob " in entry.partition("\t")[0]}
    print(f"{shown(url)}: fetching {len(files):,} distinct files of {folder!r}", flush=True)
    wanted = "".join(f"{file}\n" for file in sorted(files))
    options = ("--filter=blob:none", "--no-write-fetch-head", "--stdin")
    _git(work, url, *FETCH, *options, "origin", given=wanted)


def _pack(work: str, url: str, commit: str, folder: str, out: Path) -> None:
    """Write the folder as a tar.zst; times and owners in it are those of the commit."""
    name = re.sub(r"[^\w.-]|^[.-]+", "_", re.split("[/:]", shown(url).rstrip("/"))[-1])
    prefix = f"--prefix={name.removesuffix('.git')}-{commit[:8]}/"
    paths = ["--", folder] if folder else []
    with tempfile.TemporaryFile() as said, replacing(out) as temporary:
        # --worktree-attributes: to read them from the commit it would fetch every file of it
        options = ("--format=tar", "--worktree-attributes", prefix)
        command = _command(work, "archive", *options, commit, *paths)
        with (
            subprocess.Popen(**command, stderr=said) as process,
            pa.CompressedOutputStream(pa.OSFile(temporary, "wb"), "zstd") as stream,
        ):
            shutil.copyfileobj(process.stdout, stream, CHUNK)
        if process.returncode:
            said.seek(0)
            why = _hide(said.read().decode(errors="replace"))
            raise InputError(f"{shown(url)}: git archive failed: {why}")


# ---------------------------------------------------------------------------------------- URL


def fetch_archive(url: str, sha256: str, out: str | Path) -> None:
    """Get the file behind a URL, going on where an interrupted run stopped.

    Parameters
    ----------
    url : str
        https, http or file; without user and password.
    sha256 : str
        Its checksum, 64 hex digits.
    out : path
        Until it is whole and checked it stands beside, as ``<out>.part``.

    Raises
    ------
    prism.errors.InputError
        If it can't be had, is interrupted (what has arrived stays), or has another checksum (what
        has arrived is removed).
    """
    if not re.match("(https?|file)://", url) or "@" in urllib.parse.urlsplit(url).netloc:
        raise InputError(f"{shown(url)}: expected an address with https, http or file, no password")
    part = Path(f"{out}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        done = part.stat().st_size if part.exists() else 0
        if not _receive(url, part, done) and _sha256(part) != sha256.lower():
            _receive(url, part, 0)  # what was there is no start of what the server has
        found = _sha256(part)
        if found != sha256.lower():
            part.unlink()
            raise InputError(
                f"{shown(url)}: sha256 is {found}, expected {sha256}; what arrived is removed"
            )
        part.replace(out)
    except OSError as error:
        raise InputError(f"{out}: can't be written: {error.strerror or error}") from None


def _receive(url: str, part: Path, done: int) -> bool:
    """Get what follows the first `done` bytes; False if the server has nothing there."""
    with _answer(url, done) as response:
        if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return False
        goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            return False
        done = done if goes_on else 0  # servers may ignore the wish and send all
        length = response.headers.get("Content-Length")
        whole = done + int(length) if length else None
        last = time.monotonic()
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := _next(url, response):
                done += file.write(chunk)
                if time.monotonic() - last > PROGRESS:
                    last = time.monotonic()
                    print(f"{shown(url)}: {done:,} of {whole or '?':,} bytes", flush=True)
    if whole is not None and done < whole:
        raise _interrupted(url, f"{done} of {whole} bytes arrived")
    return True


def _interrupted(url: str, why: object) -> InputError:
    return InputError(f"{shown(url)}: interrupted: {_hide(why)}; run again to go on from there")


def _answer(url: str, done: int) -> http.client.HTTPResponse | urllib.error.HTTPError:
    opener = urllib.request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    headers = {"User-Agent": "prism", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if done and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        raise InputError(f"{shown(url)}: the server says {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise InputError(f"{shown(url)}: can't be reached: {_hide(error.reason)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _interrupted(url, error or repr(error)) from None


def _next(url: str, response: http.client.HTTPResponse | urllib.error.HTTPError) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _interrupted(url, error or repr(error)) from None
