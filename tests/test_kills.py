"""Real kills: the same command afterwards gives the tables of an undisturbed run."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from studies import assert_same, command, environment, snakemake, tables


def processes_of(group):
    """Pids of the processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def run_after_kill(folder):
    """The same command again, unlocked first where Snakemake says so."""
    done = snakemake(folder)
    if "--unlock" in done.stderr:
        assert snakemake(folder, "--unlock").returncode == 0
        done = snakemake(folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seconds", [2.5, 5, 7, 9, 11])
def test_kill_of_snakemake_itself(finished, tmp_path, seconds):
    process = subprocess.Popen(
        command(tmp_path), start_new_session=True, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while processes_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)  # its jobs write on
    run_after_kill(tmp_path)
    assert_same(tables(finished), tables(tmp_path))


def test_kill_of_jobs(finished, tmp_path):
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(
            command(tmp_path), start_new_session=True, env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None:
            time.sleep(0.4)
            jobs = [pid for pid in processes_of(process.pid) if pid != process.pid]
            if jobs and killed % 3 < 2:
                os.kill(jobs[-1], signal.SIGKILL)
            killed += bool(jobs)
    assert killed
    run_after_kill(tmp_path)
    assert_same(tables(finished), tables(tmp_path))
