"""Bad input: one line that says what is wrong and where, exit status not 0, no trace."""

import re
import shutil

import pyarrow.parquet as pq
import pytest

from studies import STUDY, raw_records, run, snakemake


@pytest.fixture
def study(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "study", symlinks=True)
    return tmp_path / "study"


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
    assert "nosuch is not among the 3 models of this study" in error_of(done)
