"""The guide's section on whole venues is what happens: its commands word for word but for digits, its code as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from margrave.cli.main import cli

GUIDE = (Path(__file__).parents[2] / "docs/guide.md").read_text(encoding="utf-8")
SECTION = GUIDE[GUIDE.index("## A whole venue in one tick") :].split("\n## ", 1)[0]


def without_digits(text: str) -> list[str]:
    """Words of a text: digits depend on the last bit of exponentials that a made book is drawn with."""
    return [" ".join(re.sub(r"[\d,.#-]+|M\d+|BTC|ETH", " ", line).split()) for line in text.splitlines()]


def test_the_commands_print_what_the_guide_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    sessions = re.findall(r"```\n\$ margrave (.*?)```", SECTION, flags=re.DOTALL)
    assert len(sessions) == 4
    for session in sessions:
        line, shown = session.split("\n", 1)
        result = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
        assert result.return_value == 0
        assert without_digits(result.stdout) == without_digits(shown)


def test_the_code_runs_and_gives_what_it_says():
    pl = pytest.importorskip("polars")
    pytest.importorskip("numba")
    code, kept = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code + kept, names)  # the guide's own code
    frame = names["pools_like"](names["found"], names["held"])  # type: ignore[operator]
    assert isinstance(frame, pl.DataFrame)
    assert frame["account"].to_list() == ["ann", "bob"]
    quick, found = names["quick"].pools, names["found"].pools  # type: ignore[attr-defined]
    assert quick.maintenance == pytest.approx(found.maintenance, abs=2e-9)
    again = names["assess_kept"](names["kept"], names["market"]).pools  # type: ignore[operator]
    assert again.maintenance.tobytes() == quick.maintenance.tobytes()


def test_the_code_on_safe_intervals_runs_and_gives_what_it_says():
    section = GUIDE[GUIDE.index("## Who has to be looked at after a tick") :].split("\n## ", 1)[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)  # the guide's own code
    ((pair, low, high),) = names["safe"].of_account(0)  # type: ignore[attr-defined]
    told = f'(("{pair}", {low:.3f}, {high:.3f}),)'
    assert told in section
    assert 0 < len(names["rows"]) < 400  # type: ignore[arg-type]
