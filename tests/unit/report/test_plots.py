import sys

import pytest

from margrave.core.errors import InvalidInputError
from margrave.report.plots import plot
from tests.unit.made import inverse_account, inverse_market, rules


def test_an_image_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.png"
    plot(inverse_account(), inverse_market(50_000.0), rules(), "BTC", ("payoff", "margin", "equity"), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_bounds_are_marked(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.svg"
    plot(inverse_account(), inverse_market(50_000.0), rules(), "BTC", ("margin",), path)
    assert "liquidation" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("asset", "name"), [("XRP", "out.png"), ("BTC", "out.nothing")])
def test_what_cannot_be_drawn_is_said(tmp_path, asset, name):
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidInputError, match=r"XRP|nothing"):
        plot(inverse_account(), inverse_market(50_000.0), rules(), asset, ("payoff",), tmp_path / name)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'margrave\[plot\]'"):
        plot(inverse_account(), inverse_market(50_000.0), rules(), "BTC", ("payoff",), tmp_path / "out.png")
