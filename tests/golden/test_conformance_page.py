"""The manual's page of conformance is what a run says today."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

pytestmark = pytest.mark.shared


def test_the_page_agrees_with_a_fresh_run(shared: Path, tmp_path: Path):
    done = CliRunner().invoke(cli, ["conform", str(shared / "vectors"), "--report", str(tmp_path)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert (tmp_path / "conformance.html").stat().st_size > 0
    assert (tmp_path / "conformance.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8"), (
        "run `make conformance`"
    )
