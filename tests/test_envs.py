"""The conda environment, the lock file and pyproject.toml agree."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / "requirements.lock").read_text(), re.M))
ENV = yaml.safe_load((ROOT / "envs/prism.yaml").read_text())
CONDA_NAMES = {"matplotlib": "matplotlib-base"}  # without the windows that it can open
OUTSIDE = {"snakemake"}  # runs the jobs, is not in them


def names(requirements):
    return {re.match(r"[A-Za-z0-9-]+", text)[0] for text in requirements}


def test_conda_env_pins_the_dependencies_at_the_locked_versions():
    wanted = {
        CONDA_NAMES.get(name, name): f"={LOCK[name]}"
        for name in names(PROJECT["project"]["dependencies"]) - OUTSIDE
    }
    wanted["python"] = PROJECT["project"]["requires-python"]
    assert dict(text.split(" ") for text in ENV["dependencies"]) == wanted


def test_conda_env_takes_packages_from_conda_forge_alone():
    assert ENV["channels"] == ["conda-forge", "nodefaults"]


def test_lock_holds_everything_that_pyproject_names_with_hashes():
    groups = PROJECT["dependency-groups"]
    assert names(PROJECT["project"]["dependencies"] + groups["dev"]) <= set(LOCK)
    lines = (ROOT / "requirements.lock").read_text().split("\n")
    for line, following in zip(lines, lines[1:], strict=False):
        if "==" in line and not line.startswith(("#", " ")):
            assert line.endswith("\\") and following.startswith("    --hash=sha256:"), line


def test_lock_names_no_index_and_no_path():
    assert not re.search(r"://|--(index|find|extra)|@ ", (ROOT / "requirements.lock").read_text())
