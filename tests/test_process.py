"""What a script prints goes to its log, and a user's mistake is one line."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(body, log, **kwargs):
    code = f"from prism.process import logging_to\nwith logging_to({str(log)!r}):\n    {body}"
    return subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True,
                          text=True, check=False, **kwargs)  # fmt: skip


def test_all_output_goes_to_the_log_that_of_children_too(tmp_path):
    done = script("print(1); import os; os.system('echo 2; echo 3 >&2')", tmp_path / "log")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "log").read_text() == "1\n2\n3\n"


def test_a_mistake_is_one_line(tmp_path):
    body = "from prism.errors import InputError; print('so far'); raise InputError('a: b\\nc')"
    assert script(body, tmp_path / "log").returncode == 1
    assert (tmp_path / "log").read_text() == "so far\nerror: a: b c\n"


def test_a_fault_of_ours_keeps_its_trace(tmp_path):
    assert script("1 / 0", tmp_path / "log").returncode == 1
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


WRITE = (
    "from prism import tables; "
    "tables.write('{0}/t.parquet', 'rejected', tables.table('rejected', dict(record=[], why=[])))"
)


@pytest.mark.parametrize("body", ["print('x' * 10**6)", WRITE])
def test_a_full_disk_is_one_line_of_the_console_where_the_log_cannot_be_written(tmp_path, body):
    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = script(body.format(tmp_path), tmp_path / "log", preexec_fn=full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "File too large" in line
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_log_that_cannot_be_opened(tmp_path):
    done = script("pass", tmp_path / "no" / "log")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/no/log: can't be written: No such file or directory\n"
