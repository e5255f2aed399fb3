"""The conda environment, the lock file and pyproject.toml agree."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEXT = (ROOT / "requirements.lock").read_text()
LOCK = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", TEXT, re.M))
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
    pins = re.findall(r"^[a-z0-9].*==.*", TEXT, re.M)
    assert len(pins) == len(re.findall(r"^[a-z0-9].*==.* \\\n    --hash=sha256:", TEXT, re.M))


def test_lock_names_no_index_and_no_path():
    assert not re.search(r"://|--(index|find|extra)|@ ", TEXT)
