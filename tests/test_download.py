"""What is downloaded is what was pinned, however often the way there breaks."""

import hashlib
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import fetch_records
from prism.errors import InputError
from prism.records import download

ROOT = Path(__file__).parents[1]
RUN = """
import sys, json
from prism.records import download
download.PROGRESS = 0.05
download.fetch(json.loads(sys.argv[1]), sys.argv[2])
"""


def wait_for(holds, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def start(source: str, out: Path) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.Popen([sys.executable, "-c", RUN, source, str(out)], env=env)


CONTENT = hashlib.shake_256(b"records").digest(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Sends `content` in the ways that servers have."""

    content = CONTENT
    ranges = True
    cut = len(CONTENT)  # breaks the connection after so many bytes of a response
    hold = None  # an event that it waits for before it sends the second half
    location = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/records.tar.zst"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.headers["Range"])
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.location)
            self.end_headers()
            return
        content, begin = self.server.content, 0
        if self.server.ranges and self.headers["Range"]:
            begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body = content[begin:][: self.server.cut]
        self.wfile.write(body[: len(body) // 2])
        if self.server.hold:
            self.wfile.flush()
            self.server.hold.wait(20)
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with Server() as server:
        yield server
        server.shutdown()


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out" / "records.tar.zst"


def whole(out: Path) -> None:
    assert out.read_bytes() == CONTENT
    assert list(out.parent.iterdir()) == [out]


def part(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def refused(url: str, out: Path, *says: str, sha256: str = SHA256) -> None:
    with pytest.raises(InputError) as error:
        download.fetch({"url": url, "sha256": sha256}, out)
    for text in says:
        assert text in str(error.value)
    assert "secret" not in str(error.value)
    assert not out.is_file()


def test_an_archive_by_url(server, out):
    fetch_records.main(source={"url": server.url, "sha256": SHA256.upper()}, out=str(out))
    whole(out)
    assert server.asked == [None]


def test_an_archive_by_file_url(tmp_path, out):
    (tmp_path / "x").write_bytes(CONTENT)
    out.parent.mkdir()
    part(out).write_bytes(b"something")
    download.fetch_archive((tmp_path / "x").as_uri(), SHA256, out)
    whole(out)
    out.unlink()
    refused((tmp_path / "y").as_uri(), out, "can't be reached")


@pytest.mark.parametrize("ranges", [True, False])
def test_interrupted_downloads_go_on(server, out, ranges):
    server.cut, server.ranges = 100_000, ranges
    refused(server.url, out, "interrupted: 100000 of 300000 bytes arrived; run again")
    assert part(out).read_bytes() == CONTENT[:100_000]
    if ranges:
        refused(server.url, out, "interrupted: 200000 of 300000 bytes")
    server.cut = len(CONTENT)
    download.fetch_archive(server.url, SHA256, out)
    whole(out)
    assert server.asked[-1] == ("bytes=200000-" if ranges else "bytes=100000-")


def test_a_part_that_is_whole_or_of_something_else(server, out):
    out.parent.mkdir()
    for held in (CONTENT, b"x" * 400_000):  # the server answers 416
        part(out).write_bytes(held)
        download.fetch_archive(server.url, SHA256, out)
        whole(out)
    out.unlink()
    part(out).write_bytes(b"x" * 1000)
    refused(server.url, out, "sha256 is", "what arrived is removed")
    download.fetch_archive(server.url, SHA256, out)
    whole(out)


def test_other_bytes_are_noticed_and_removed(server, out):
    server.content = b"y" + CONTENT[1:]
    found = hashlib.sha256(server.content).hexdigest()
    refused(server.url, out, f"sha256 is {found}, expected {SHA256}")
    assert list(out.parent.iterdir()) == []


def test_url_killed_and_run_again(server, out):
    server.hold = threading.Event()
    source = f'{{"url": "{server.url}", "sha256": "{SHA256}"}}'
    run = start(source, out)
    wait_for(lambda: part(out).exists() and server.asked)
    time.sleep(0.3)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    server.hold.set()
    assert not out.exists()
    assert start(source, out).wait() == 0
    whole(out)


def test_what_can_not_be_had_by_url(server, out, monkeypatch):
    base = server.url.rpartition("/")[0]
    refused(f"{base}/missing?token=secret", out, f"{base}/missing: the server says 404 Not Found")
    refused("http://127.0.0.1:9/x", out, "can't be reached: ", "Connection refused")
    refused("http://me:secret@127.0.0.1:9/x", out, "no password")
    refused("ftp://127.0.0.1/x", out, "https, http or file")
    refused("data:,x", out, "https, http or file")
    refused("-x", out, "https, http or file")
    for server.location in ("ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x"):
        refused(f"{base}/moved", out)
    server.location = server.url
    download.fetch_archive(f"{base}/moved", SHA256, out)
    whole(out)
    out.unlink()
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.hold = threading.Event()
    refused(server.url, out, "interrupted: timed out; run again")
    server.hold.set()
    assert part(out).stat().st_size <= 150_000


def test_what_can_not_be_written(tmp_path, server):
    (tmp_path / "file").touch()
    refused(server.url, tmp_path / "file" / "x", "file/x: can't be written")


def test_progress(server, out, monkeypatch, capfd):
    monkeypatch.setattr(download, "PROGRESS", 0.0)
    monkeypatch.setattr(download, "CHUNK", 100_000)
    download.fetch_archive(f"{server.url}?token=secret", SHA256, out)
    said = capfd.readouterr().out
    assert "records.tar.zst: 100,000 of 300,000 bytes" in said
    assert "secret" not in said


def test_check(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    download.check(path, SHA256)
    download.check(str(path), SHA256.upper())
    path.write_bytes(CONTENT[:-1])
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    with pytest.raises(InputError) as error:
        download.check(path, SHA256)
    assert str(error.value) == (
        f"{path}: sha256 is {found}, expected {SHA256}: the file was changed or is incomplete"
    )
    with pytest.raises(InputError, match=r"nothing: can't be read: No such file"):
        download.check(tmp_path / "nothing", SHA256)


def test_addresses_are_shown_without_secrets():
    assert download.shown("https://me:a@b@host/x.git?token=y#z") == "https://host/x.git"
    assert download.shown("git@host:x/y.git") == "git@host:x/y.git"
