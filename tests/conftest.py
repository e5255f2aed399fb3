"""What tests share: the published archives, and tests that are only run when asked for."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import studies
from prism import tables

ROOT = Path(__file__).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "exhaustive: takes minutes; run by `-m exhaustive` only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "exhaustive" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; run by `-m exhaustive` only"))


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """Path of a published archive; skips the test where it is not at hand."""
    folder = Path(os.environ.get("PRISM_DATA") or ROOT.parent / "shared" / "data" / "reliabuild")

    def archive(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"the published records are not at {path}; set PRISM_DATA to their folder")
        return path

    return archive


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished study; tests that change anything work on a copy."""
    folder = tmp_path_factory.mktemp("finished")
    studies.run(folder)
    return folder


@pytest.fixture
def records() -> Callable[[int], tuple[pa.Table, pa.Table]]:
    """Makes small random builds and nodes: odd names, nulls, specs with two nodes of one name."""
    return _records


@pytest.fixture(scope="session")
def study() -> Callable[[random.Random], tuple[pa.Table, pa.Table, pa.Table]]:
    """Makes small random jobs, clusters and outcomes.

    Some jobs require nothing, some a value that no cluster has; the rows are in any order.
    """
    return _study


PACKAGES = ("velora", "zlib-ng", "zlib", "9base")
VERSIONS = ("1.9", "1.10", "develop", None)
FEATURES = {"zlib-version": "zlib", "zlib-os": "zlib", "zlib-ng-version": "zlib-ng", "m-os": "m"}


def _records(seed: int) -> tuple[pa.Table, pa.Table]:
    rng = random.Random(seed)
    builds, nodes = [], []
    for number in range(rng.randrange(1, 25)):
        package, build = rng.choice(PACKAGES), f"{rng.randrange(100)}-{number}"
        builds.append((build, package, "1.0", rng.random() < 0.7, None))
        for node in [package, *rng.choices(PACKAGES, k=rng.randrange(5))]:
            stated = [rng.choice(VERSIONS[: rng.choice((1, 4))]) for _ in range(6)]
            variants = {name: rng.choice("xyz") for name in rng.choice(("", "a", "ab"))}
            nodes.append((build, node, *stated, json.dumps(variants)))
    return _table("builds", builds, rng), _table("nodes", nodes, rng)


def _study(rng: random.Random) -> tuple[pa.Table, pa.Table, pa.Table]:
    groups = ["g1", "g2", "g3"][: rng.randint(1, 3)]
    clusters = [(f"c{n}", *(rng.choice("123") for _ in FEATURES)) for n in range(rng.randint(1, 9))]
    jobs = []
    for number in range(rng.randint(1, 12)):
        job = (f"j{number}", rng.choice(groups))
        required = [name for name in FEATURES if rng.random() < 0.5]
        jobs += [(*job, FEATURES[name], name, rng.choice("1112239")) for name in required]
        jobs += [] if required else [(*job, None, None, None)]
    outcomes = [(group, row[0], rng.random()) for group in groups for row in clusters]
    rng.shuffle(jobs)
    rng.shuffle(outcomes)
    columns = zip(("cluster", *FEATURES), zip(*clusters, strict=True), strict=True)
    return (
        _table("jobs", jobs, rng),
        tables.table("clusters", dict(columns)),
        _table("outcomes", outcomes, rng),
    )


def _table(name: str, rows: list[tuple], rng: random.Random) -> pa.Table:
    """A table of two pieces, each with dictionaries of its own, as they come from files."""
    at = rng.randint(0, len(rows))
    names = tables.SCHEMAS[name].names
    return pa.concat_tables(
        tables.table(name, {key: [row[n] for row in piece] for n, key in enumerate(names)})
        for piece in (rows[:at], rows[at:])
    )
