"""What a study leaves, what an edit reruns, and how a study is run in other ways."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import pyarrow.parquet as pq
import pytest

from studies import REPO, STUDY, assert_same, environment, raw_records, run, tables


def rules_to_run(done):
    """Rules that a dry run would run, apart from `all`."""
    table = done.stdout.partition("Job stats:")[2]
    return set(re.findall(r"^(\w+) +\d+", table, re.M)) - {"all", "total"}


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
    assert_same(tables(finished), tables(tmp_path))


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


def test_lint():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint", "json"], cwd=REPO, capture_output=True,
        text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert not json.loads(done.stdout or "{}").get("rules")
