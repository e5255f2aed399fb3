"""A folder of a git repository arrives as it was at its commit, whatever the settings are."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import fetch_records
from prism.errors import InputError
from prism.records import download
from prism.records.archives import members
from test_download import start, wait_for

FILES = {
    "data/specs/a.yaml": b"a: 1\n",
    "data/specs/b.yaml": b"b: $Format:%H$ $Id$\n",
    "data/specs/deep/\u00fc c[1].yaml": b"crlf\r\nlf\n",
    "data/specs/ignored.yaml": b"not to be dropped\n",
    "data/specs/same.yaml": b"a: 1\n",
    "data/large.json": b"0" * 100_000,
    "other/x": b"x",
    ".gitattributes": b"*.yaml export-subst ident eol=crlf\nignored.yaml export-ignore\n",
}
SPECS = {name: content for name, content in FILES.items() if name.startswith("data/specs/")}


def every(_: str) -> bool:
    return True


def git(*words: str, at: Path) -> str:
    me = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.autocrlf=false"]
    done = subprocess.run(["git", *me, *words], cwd=at, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch) -> Path:
    """The user's git settings, none at first."""
    path = tmp_path / "gitconfig"
    path.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    return path


@pytest.fixture
def served(tmp_path, settings) -> Path:
    """A bare repository: the files at its first commit, all gone at the second."""
    work = tmp_path / "work"
    for name, content in FILES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(content)
    git("init", "-q", "-b", "main", at=work)
    info = work / ".git" / "info" / "attributes"
    info.parent.mkdir(exist_ok=True)
    info.write_text("* -text -ident\n")
    git("add", "-A", at=work)
    git("commit", "-q", "-m", "first", at=work)
    git("rm", "-q", "-r", "data", at=work)
    git("commit", "-q", "-m", "second", at=work)
    bare = tmp_path / "my records.git"
    git("clone", "-q", "--bare", str(work), str(bare), at=tmp_path)
    for key in ("allowFilter", "allowAnySHA1InWant"):
        git("config", f"uploadpack.{key}", "true", at=bare)
    return bare


def first(bare: Path) -> str:
    return git("rev-parse", "HEAD~1", at=bare)


def address(bare: Path) -> str:
    return bare.as_uri()


def got(out: Path, bare: Path) -> None:
    """Check that `out` holds the folder, and that nothing else is left of the way there."""
    prefix = f"my_20records-{first(bare)[:8]}"
    assert dict(members(out, every)) == {f"{prefix}/{n}": c for n, c in SPECS.items()}
    assert list(out.parent.iterdir()) == [out]


def test_a_folder_at_a_commit(tmp_path, served, capfd):
    out = tmp_path / "out" / "records.tar.zst"
    source = {"git": address(served), "commit": first(served), "folder": "data/specs"}
    fetch_records.main(source=source, out=str(out))
    got(out, served)
    assert "fetching 4 distinct files of 'data/specs'" in capfd.readouterr().out
    before = out.read_bytes()
    time.sleep(1.1)  # times in the archive are the commit's
    download.fetch(source | {"folder": "/data/specs/"}, out)
    assert out.read_bytes() == before
    download.fetch(source | {"folder": ""}, out)
    assert {name.partition("/")[2] for name, _ in members(out, every)} == FILES.keys()


def test_only_the_folder_is_transferred(tmp_path, served):
    for pack in (served / "objects" / "pack").glob("*.pack"):
        with pack.rename(tmp_path / pack.name).open("rb") as file:
            subprocess.run(["git", "unpack-objects", "-q"], cwd=served, stdin=file, check=True)
    large = git("rev-parse", f"{first(served)}:data/large.json", at=served)
    (served / "objects" / large[:2] / large[2:]).unlink()  # who asks for it gets an error
    out = tmp_path / "out" / "x.tar.zst"
    download.fetch_folder(address(served), first(served), "data/specs", out)
    got(out, served)


def test_servers_that_give_all_or_nothing(tmp_path, served, settings, capfd):
    for key in ("allowFilter", "allowAnySHA1InWant"):
        git("config", "--unset", f"uploadpack.{key}", at=served)
    out = tmp_path / "out" / "x.tar.zst"
    download.fetch_folder(address(served), first(served), "data/specs", out)
    got(out, served)
    settings.write_text("[protocol]\nversion = 0\n")
    download.fetch_folder(address(served), first(served), "data/specs", out)
    got(out, served)
    assert "fetching all of it" in capfd.readouterr().out


def test_settings_and_surroundings_do_not_interfere(tmp_path, served, settings, monkeypatch):
    hook = tmp_path / "hooks" / "hook"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "fsmonitor"):
        (hook.parent / name).symlink_to(hook)
    (tmp_path / "template").mkdir()
    (tmp_path / "template" / "hooks").symlink_to(hook.parent)
    settings.write_text(
        f"[core]\nhooksPath = {hook.parent}\nfsmonitor = {hook}\nautocrlf = true\n"
        f"attributesFile = {tmp_path}/attributes\n"
        f"[init]\ntemplateDir = {tmp_path}/template\n[tar]\numask = 0777\n"
        f'[filter "x"]\nsmudge = {hook}\nclean = {hook}\n'
        f'[url "{served.parent.as_uri()}/"]\ninsteadOf = https://records.invalid/\n'
    )
    (tmp_path / "attributes").write_text("* filter=x export-ignore\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    out = tmp_path / "out" / "x.tar.zst"
    commit = subprocess.run(
        ["git", f"--git-dir={served}", "rev-parse", "HEAD~1"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    download.fetch_folder("https://records.invalid/my%20records.git", commit, "data/specs", out)
    found = {name.partition("/")[2]: content for name, content in members(out, every)}
    assert found == SPECS
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({"commit": "0" * 40}, "no commit 0000"),
        ({"commit": "main"}, "expected a full hash"),
        ({"commit": "--upload-pack=touch x"}, "expected a full hash"),
        ({"folder": "data/nothing"}, "no folder 'data/nothing' in commit"),
        ({"folder": "data/large.json"}, "no folder 'data/large.json' in commit"),
        ({"folder": "../x"}, "expected a path in the repository"),
        ({"folder": "--output=x"}, "expected a path in the repository"),
        ({"git": "--upload-pack=touch x"}, "not a git address"),
        ({"git": "ext::sh -c touch% x"}, "not a git address"),
        ({"git": "ext::touch"}, "not a git address"),
        ({"git": "ssh://-oProxyCommand=touch"}, "not a git address"),
        ({"git": "git://127.0.0.1/x"}, "not a git address"),
        ({"git": "/tmp"}, "not a git address"),
        ({"git": "file:///nothing/there"}, "git fetch failed"),
        ({"git": "https://me:secret@127.0.0.1:9/x"}, "https://127.0.0.1:9/x: git fetch failed"),
    ],
)
def test_what_can_not_be_had_by_git(tmp_path, served, odd, says):
    source = {"git": address(served), "commit": first(served), "folder": "data/specs"} | odd
    out = tmp_path / "out" / "x.tar.zst"
    with pytest.raises(InputError) as error:
        download.fetch(source, out)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_the_connection_can_be_ssh(tmp_path, served, monkeypatch):
    """`user@host:path` reaches ssh, here a stand-in that runs what it is told to."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nwhile [ "$1" != git@host ]; do shift; done\nshift; eval "$*"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(ssh))
    out = tmp_path / "out" / "x.tar.zst"
    plain = served.rename(tmp_path / "plain.git")
    download.fetch_folder(f"git@host:{plain}", first(plain), "data/specs", out)
    found = {name.partition("/")[2] for name, _ in members(out, every)}
    assert found == SPECS.keys()


def test_git_killed_and_run_again(tmp_path, served, settings):
    out = tmp_path / "out" / "x.tar.zst"
    slow = tmp_path / "slow"
    slow.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/packing\n"
        f'while [ -e {tmp_path}/packing ]; do sleep 0.05; done\nexec "$@"\n'
    )
    slow.chmod(0o755)
    source = f'{{"git": "{address(served)}", "commit": "{first(served)}", "folder": "data/specs"}}'
    settings.write_text(f"[uploadpack]\npackObjectsHook = {slow}\n")
    run = start(source, out)
    wait_for((tmp_path / "packing").exists)
    assert len(list(out.parent.iterdir())) == 1
    run.kill()
    assert run.wait() == -signal.SIGKILL
    assert not out.exists()
    settings.write_text("")
    assert start(source, out).wait() == 0
    got(out, served)
    (tmp_path / "packing").unlink()  # what is left of the killed run ends, and harms nothing
    time.sleep(0.3)
    got(out, served)


def test_what_can_not_be_written(tmp_path, served):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/x: can't be written"):
        download.fetch_folder(address(served), first(served), "data", tmp_path / "file" / "x")
