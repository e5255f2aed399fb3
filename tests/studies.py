"""Runs small studies through Snakemake, as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from prism.records.archives import members

REPO = Path(__file__).parents[1]

STUDY = {
    "study": "tiny",
    "seed": 7,
    "records": {"generate": {"packages": 4, "builds": 160}},
    "clusters": {"count": 40},
    "rounds": {"per_job": 10},
}
TABLES = ("builds", "rejected", "nodes", "packages", "predictions", "metrics", "clusters", "jobs",
          "outcomes", "rounds", "scores", "cluster_scores")  # fmt: skip


def command(folder, *arguments, study=STUDY, snakefile=REPO / "Snakefile"):
    """The command line of a study; `study` None leaves the config to the arguments."""
    config = []
    if study is not None:
        (folder / "study.yaml").write_text(yaml.safe_dump(study))
        config = ["--configfile", str(folder / "study.yaml")]
    return [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--directory",
            str(folder), *config, "--cores", "2", *arguments]  # fmt: skip


def environment(**more):
    """Without what a surrounding run may have set, so that a test sees what a user sees."""
    return {key: value for key, value in os.environ.items() if key != "PRISM_DATA"} | more


def snakemake(folder, *arguments, env=None, **kwargs):
    return subprocess.run(
        command(folder, *arguments, **kwargs),
        capture_output=True, text=True, env=environment(**env or {}), check=False,
    )  # fmt: skip


def run(folder, *arguments, **kwargs):
    done = snakemake(folder, *arguments, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def tables(folder, study="tiny"):
    """All tables of a study by their path."""
    results = folder / "results" / study
    found = {str(path.relative_to(results)): pq.read_table(path)
             for path in results.rglob("*.parquet")}  # fmt: skip
    assert {f"{name}.parquet" for name in TABLES} <= found.keys()
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, table in one.items():
        assert table.equals(other[name], check_metadata=True), name


def raw_records(finished, folder):
    """The generated records as a folder of the user's own."""
    for name, content in members(finished / "results/tiny/records.tar.zst", lambda name: True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
