"""What tests share: the published archives, and tests that are only run when asked for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

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
    folder = Path(
        os.environ.get("PRISM_DATA") or ROOT.parent / "shared" / "data" / "reliabuild"
    )

    def archive(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"the published records are not at {path}; set PRISM_DATA to their folder")
        return path

    return archive
