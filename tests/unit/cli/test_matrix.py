"""`margrave matrix`, and `margrave verify` of what it writes."""

import csv
import io
import json

import pytest

from margrave.cli import main
from tests.unit.adapters.pme_made import simulation

CASE = ("example:inverse", "--rules", "deribit.spm@2026-02-16")


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def running(*argv):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in argv])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return end.value.code, told.out, told.err

    return running


def test_the_worst_cell_is_marked_and_parts_follow(run):
    code, out, _ = run("matrix", *CASE)
    assert code in (0, 3, 4)
    (worst,) = (line for line in out.splitlines() if line.rstrip().endswith("worst"))
    assert "-16.00%" in worst
    assert "worst case, cell 1: price -16.00%, vol up, standard" in out
    assert "charge: roll" in out
    assert "initial margin" in out


def test_by_instrument_as_data(run):
    _, out, _ = run("matrix", *CASE, "--by", "instrument", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 3 * 35
    assert {r["instrument"] for r in rows} == {"BTC-PERPETUAL", "BTC-26MAR27", "BTC-25DEC26-70000-C"}
    _, out, _ = run("matrix", *CASE, "--format", "json")
    assert sum(r["worst"] for r in json.loads(out)) == 1


def test_what_is_written_in_deribits_shape_is_verified(run, tmp_path):
    _, out, _ = run("matrix", *CASE, "--format", "deribit")
    path = tmp_path / "pme.json"
    path.write_text(out, encoding="utf-8")
    code, out, err = run("verify", path)
    assert code == 0
    assert "0 differ" in out
    assert "not computed: initial_margin_details risk_matrix_margin_details worst_case_bucket bucket" in err


def test_verify_names_the_first_cell_that_differs(run, tmp_path):
    tree = simulation()
    tree["result"]["aggregated_risk_vectors"]["btc_btc"]["extended"][2] = 0.001
    path = tmp_path / "pme.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    code, out, _ = run("verify", path)
    assert code == 5
    assert "first that differs: aggregated_risk_vectors: btc_btc extended cell 3: the venue says 0.001" in out
    code, out, _ = run("verify", path, "--format", "json")
    assert code == 5
    assert sum(r["verdict"] == "differs" for r in json.loads(out)) == 1


def test_a_simulation_comes_alone(run, tmp_path):
    path = tmp_path / "pme.json"
    path.write_text(json.dumps(simulation()), encoding="utf-8")
    code, _, err = run("verify", path, "--rules", "deribit.spm")
    assert code == 2
    assert "give it alone" in err


def test_rules_without_scenarios_have_no_matrix(run):
    code, _, err = run("matrix", "example:inverse")
    assert code == 1
    assert "has no risk matrix" in err
