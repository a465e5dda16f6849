"""`margrave bench` measures, says what it left out, and writes what it found."""

import json
import sys

import pytest
from click.testing import CliRunner

from bench.measure import Setting, difference
from bench.registry import SECTIONS, section
from margrave.cli import bench, bench_sections
from margrave.cli.main import cli


def test_without_a_compiler_the_kernels_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "margrave.kernels.compiled.warming", None)
    monkeypatch.setattr(bench, "growth", lambda *asked: bench_sections.growth(asked[0], (200, 400), 1))
    file = tmp_path / "bench.json"
    result = CliRunner().invoke(cli, ["bench", "--json", str(file)], standalone_mode=False)
    assert result.return_value == 0, result.output
    assert "left out:" in result.stderr
    assert "| gate" in result.stdout
    titles = [one["title"] for one in json.loads(file.read_text())["sections"]]
    assert titles[0].startswith("One account of 20 inverse futures")
    assert titles[1].startswith("Growth of a book under example.inverse")
    assert len(titles) == 2


@pytest.mark.slow
def test_kernels_agree_with_their_twins():
    for one in bench_sections.kernels():
        assert one.rows[1].error is not None
        assert one.rows[1].error < 1e-13


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_its_function(name):
    assert callable(section(name))


def test_the_account_section_checks_itself():
    whole, at_desk = section("account")(Setting(None, 0))
    assert {gate.code for gate in (*whole.gates, *at_desk.gates)} == {"G8"}
    assert any("plain NumPy" in row.name for row in whole.rows)
    assert any("with a trade" in row.name for row in at_desk.rows)


def test_what_is_not_a_number_is_infinitely_far():
    assert difference([1.0, float("nan")], [1.0, 2.0]) == float("inf")
    assert difference([1.0, 2.5], [1.0, 2.0], 0.5) == 1.0
