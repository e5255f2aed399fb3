"""Small whole studies through Snakemake, each as a user would run it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
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
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--directory",
            str(folder), "--configfile", str(folder / "study.yaml"), "--cores", "2",
            *arguments]  # fmt: skip


def environment():
    """Without what a surrounding run may have set, so that a test sees what a user sees."""
    return {key: value for key, value in os.environ.items() if key != "PRISM_DATA"}


def snakemake(folder, *arguments, **kwargs):
    return subprocess.run(
        command(folder, *arguments, **kwargs),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )


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


def rules_to_run(done):
    """Rules that a dry run would run, apart from `all`."""
    table = done.stdout.partition("Job stats:")[2]
    return set(re.findall(r"^(\w+) +\d+", table, re.M)) - {"all", "total"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study; tests that change anything work on a copy."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.fixture
def study(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "study", symlinks=True)
    return tmp_path / "study"


def test_a_study_leaves_its_tables_and_figures_and_nothing_else_to_be_done(finished):
    found = tables(finished)
    rounds = found["rounds.parquet"]["round"].to_pylist()
    assert {f"rounds/{name}.parquet" for name in rounds} <= found.keys()
    assert not list((finished / "results/tiny").rglob("batch_*.parquet"))
    for figure in ("scores", "subsystems", "packages", "clusters", "calibration"):
        for suffix in ("svg", "png"):
            assert (finished / f"results/tiny/figures/{figure}.{suffix}").stat().st_size > 1000
    assert "Nothing to be done" in run(finished).stderr


def test_every_job_leaves_a_log_and_every_script_a_benchmark(finished):
    results = finished / "results/tiny"
    assert {path.stem for path in results.glob("logs/run_rounds/*.log")} == {
        path.stem for path in results.glob("benchmarks/run_rounds/*.tsv")
    }
    assert "kept" in (results / "logs/prepare_records.log").read_text()


def test_the_same_tables_whatever_the_cores_and_the_batches(finished, tmp_path):
    config = STUDY | {"rounds": {"per_job": 1}, "models": {"per_job": 1}}
    run(tmp_path, "--cores", "1", study=config)
    one, other = tables(finished), tables(tmp_path)
    # which job fits a package is no result
    for found in (one, other):
        found["packages.parquet"] = found["packages.parquet"].drop_columns("batch")
    assert_same(one, other)


def test_another_seed_draws_other_clusters_from_other_builds(finished, tmp_path):
    run(tmp_path, "results/tiny/clusters.parquet", study=STUDY | {"seed": 8})
    drawn = pq.read_table(tmp_path / "results/tiny/clusters.parquet")
    assert not drawn.equals(tables(finished)["clusters.parquet"])


def test_report_shows_every_figure(finished, tmp_path):
    report = tmp_path / "report.html"
    done = run(finished, "--report", str(report))
    text = report.read_text()
    for label in ("Score by round", "What each subsystem changed", "Calibration of the models"):
        assert label in text, done.stderr


def test_one_stage_can_be_named(tmp_path):
    run(tmp_path, "results/tiny/rejected.parquet")
    assert not (tmp_path / "results/tiny/packages.parquet").exists()
    run(tmp_path, "results/tiny/models/" + pq.read_table(
        tmp_path / "results/tiny/builds.parquet")["package"][0].as_py() + ".parquet")  # fmt: skip
    assert not (tmp_path / "results/tiny/clusters.parquet").exists()


@pytest.mark.parametrize(
    ("change", "first", "untouched"),
    [
        ({"clusters": {"count": 41}}, "draw_clusters", {"fit_models", "extract_features"}),
        ({"models": {"smoothing": 2}}, "fit_models", {"extract_features", "draw_clusters"}),
        ({"models": {"folds": 3}}, "cross_validate", {"fit_models", "run_rounds"}),
        ({"rounds": {"per_job": 10, "orders": 2}}, "plan_rounds", {"draw_clusters", "list_jobs"}),
        ({"features": {"properties": ["version"]}}, "extract_features", {"prepare_records"}),
    ],
)
def test_an_edit_of_the_config_reruns_what_depends_on_it(finished, change, first, untouched):
    (finished / "study.yaml").unlink()
    would = rules_to_run(run(finished, "--dry-run", study=STUDY | change))
    assert first in would
    assert not would & (untouched | {"prepare_records", "generate_records"})


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the workflow whose code may be edited."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "rules", "scripts", "config", "profiles", "envs", "report"):
        source = REPO / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def test_an_edit_of_a_module_reruns_the_rules_that_use_it(clone, tmp_path):
    snakefile = clone / "Snakefile"
    run(tmp_path, snakefile=snakefile)
    assert "Nothing to be done" in run(tmp_path, snakefile=snakefile).stderr
    with (clone / "scripts/prism/scores.py").open("a") as module:
        module.write("\n# an edit\n")
    would = rules_to_run(run(tmp_path, "--dry-run", snakefile=snakefile))
    assert "score_rounds" in would
    assert not would & {"run_rounds", "fit_models", "prepare_records"}
    with (clone / "scripts/prism/clusters.py").open("a") as module:
        module.write("\n# an edit\n")
    would = rules_to_run(run(tmp_path, "--dry-run", snakefile=snakefile))
    assert {"draw_clusters", "list_jobs", "predict_outcomes"} <= would
    assert not would & {"fit_models", "cross_validate", "extract_features"}


def test_usable_as_a_module(finished, tmp_path):
    (tmp_path / "Snakefile").write_text(
        f'module prism:\n    snakefile: "{REPO}/Snakefile"\n    config: config\n\n'
        "use rule * from prism as prism_*\n\n"
        "rule mine:\n    default_target: True\n    input: rules.prism_all.input\n"
    )
    run(tmp_path, snakefile=tmp_path / "Snakefile")
    assert_same(tables(finished), tables(tmp_path))


def raw_records(finished, folder):
    """The generated records as a folder of the user's own."""
    for name, content in members(finished / "results/tiny/records.tar.zst", lambda name: True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_own_records_from_a_folder_and_from_a_zip(finished, tmp_path):
    raw_records(finished, tmp_path / "mine")
    wanted = tables(finished)
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for path in sorted((tmp_path / "mine").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    for path in ("mine", "mine.zip"):
        config = STUDY | {"study": "own", "records": {"sources": [{"path": path}]}}
        run(tmp_path, "-f", "results/own/builds.parquet", study=config)
        found = pq.read_table(tmp_path / "results/own/builds.parquet")
        assert found.equals(wanted["builds.parquet"])


# Real kills: the same command afterwards gives the tables of an undisturbed run.


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


# Bad input: one line that says what is wrong and where, exit status not 0, no trace.


def error_of(done):
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    lines = {line for line in output.splitlines() if re.match(r"\s*(config )?error: ", line)}
    assert len(lines) == 1, output  # jobs at the same time may fail for the same reason
    return lines.pop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clusters": {"cuont": 40}}, "clusters.cuont: unknown key; did you mean 'count'?"),
        ({"clusters": {"count": "many"}}, "clusters.count: expected a whole number"),
        ({"records": {}}, "records: expected exactly one of generate, sources"),
    ],
)
def test_bad_config(tmp_path, change, said):
    assert said in error_of(snakemake(tmp_path, study=STUDY | change))


def test_results_folder_that_is_a_file(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    assert "results: expected a folder" in error_of(snakemake(tmp_path))


def own(path):
    return STUDY | {"records": {"sources": [{"path": path}]}}


def test_study_with_no_builds(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("nothing here")
    assert "no builds" in error_of(snakemake(tmp_path, study=own("mine")))


def test_truncated_archive(finished, tmp_path):
    whole = (finished / "results/tiny/records.tar.zst").read_bytes()
    (tmp_path / "mine.tar.zst").write_bytes(whole[: len(whole) // 2])
    assert "mine.tar.zst" in error_of(snakemake(tmp_path, study=own("mine.tar.zst")))


def test_label_table_without_status(finished, tmp_path):
    raw_records(finished, tmp_path / "mine")
    table = next((tmp_path / "mine").rglob("*.csv"))
    table.write_text(table.read_text().replace("Status", "Stauts"))
    said = error_of(snakemake(tmp_path, study=own("mine")))
    assert table.name in said
    assert "Status" in said


def test_features_table_of_another_schema(study):
    path = next((study / "results/tiny/features").glob("*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns("success"), path)
    said = error_of(snakemake(study, "--rerun-triggers", "mtime"))
    assert path.name in said
    assert "no column 'success'" in said


def test_spec_that_is_not_yaml_is_rejected_with_the_reason(finished, tmp_path):
    raw_records(finished, tmp_path / "mine")
    spec = next((tmp_path / "mine").rglob("*.yaml"))
    spec.write_text("spec: [unclosed")
    run(tmp_path, "results/tiny/builds.parquet", study=own("mine"))
    rejected = pq.read_table(tmp_path / "results/tiny/rejected.parquet").to_pylist()
    (row,) = [row for row in rejected if spec.name in row["record"]]
    assert "not YAML" in row["why"]
    assert re.search(r"line \d+, column \d+", row["why"])


def test_unknown_package_is_named(finished):
    done = snakemake(finished, "results/tiny/models/nosuch.parquet")
    assert "package nosuch has no model" in error_of(done)


def test_lint():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint", "json"], cwd=REPO, capture_output=True,
        text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert not json.loads(done.stdout or "{}").get("rules")
