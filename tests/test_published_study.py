"""The published study through Snakemake: whole, and the same whatever the cores and batches."""

import math

import pyarrow.compute as pc
import pytest

from studies import REPO, assert_same, run, tables

CONFIG = REPO / "config/reliabuild.yaml"


@pytest.fixture(scope="module")
def finished(published, tmp_path_factory):
    """Folders of two runs: one core and a round a job; eight cores and ten rounds a job."""
    data = published("rainbow-experiments-3e3ad136.tar.zst").parent
    folders = []
    for cores, per_job in ((1, 1), (8, 10)):
        folder = tmp_path_factory.mktemp(f"cores{cores}")
        rounds = f"rounds={{per_job: {per_job}}}"
        arguments = ("--cores", str(cores), "--configfile", str(CONFIG), "--config", rounds)
        run(folder, *arguments, study=None, env={"PRISM_DATA": str(data)})
        folders.append(folder)
    return folders


def test_the_same_tables_whatever_the_cores_and_the_batches(finished):
    one, other = (tables(folder, "reliabuild") for folder in finished)
    assert_same(one, other)


def test_all_rounds_of_all_jobs(finished):
    found = tables(finished[1], "reliabuild")
    assert len(found["rounds.parquet"]) == 119
    scores = found["scores.parquet"]
    whole = scores.filter(scores["package"].is_null())
    assert set(whole["jobs"].to_pylist()) == {14_675}
    assert not (finished[1] / "data/downloads").exists()


def test_score_without_metadata_is_the_mean_of_the_outcomes(finished):
    found = tables(finished[1], "reliabuild")
    outcomes, jobs = found["outcomes.parquet"], found["jobs.parquet"]
    group_of = dict(zip(jobs["job"].to_pylist(), jobs["group"].to_pylist(), strict=True))
    mean = {}
    for group in set(group_of.values()):
        of_group = outcomes.filter(pc.equal(outcomes["group"].cast("string"), group))
        mean[group] = math.fsum(of_group["probability"].to_pylist()) / len(of_group)
    expected = math.fsum(mean[group] for group in group_of.values()) / len(group_of)
    assert found["scores.parquet"]["round"][0].as_py() == "none"
    assert abs(found["scores.parquet"]["score"][0].as_py() - expected) < 1e-12
