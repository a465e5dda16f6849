"""What every test can use: the folder of shared vectors and markets beside the project."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

SHARED = Path(__file__).resolve().parents[2] / "shared"
MISSING = (
    "needs the folder 'shared' beside the project (published vectors, recorded markets), which is missing"
)
IN_CI = os.environ.get("CI") == "true"

# The same examples every time, so that a test that passed passes; `make explore` looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the fixture, so that ``-m "not shared"`` finds them all."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``shared`` where the folder is missing; in CI fail it: a skip proves nothing."""
    if item.get_closest_marker("shared") is None or SHARED.is_dir():
        return
    if IN_CI:
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of vectors and recorded markets, beside the project."""
    return SHARED
