"""A vault takes pools over, keeps what they held, and lets it go step by step."""

import numpy as np
import pytest

from margrave.core.errors import InvalidInputError
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.book import book_of
from margrave.engine.simulation.events import Cause, Traded
from margrave.engine.simulation.path import Path
from margrave.engine.simulation.run import simulate
from margrave.engine.simulation.settings import Deleveraging, Depth, Impact, Liquidity, Settings, Vault
from margrave.engine.simulation.state import totals
from tests.unit.made import linear_market, rules

START = 50_000.0
RULES = rules()  # initial 10 %, maintenance 5 %


def holder(name, quantity, cash, isolated=None):
    mode = MarginMode.CROSS if isolated is None else MarginMode.ISOLATED
    held = Position(symbol="BTCUSDT", quantity=quantity, entry=START, mode=mode, isolated_margin=isolated)
    return Account(name=name, balances=(Balance(asset="USDT", amount=cash),), positions=(held,))


VAULT = Account(name="vault", balances=(Balance(asset="USDT", amount=100_000.0),))


def run(accounts, prices, vault, **more):
    path = Path(60.0 * np.arange(len(prices)), {"BTC": np.array(prices)})
    settings = Settings(vault=vault, deleveraging=Deleveraging(shares=None), **more)
    return simulate(book_of(accounts), linear_market(START), RULES, path, settings)


def position(done, name):
    row = done.frame.book.names.tolist().index(name)
    mine = np.flatnonzero(done.book.account == row)
    return float(done.book.quantity[mine].sum())


def cash(done, name):
    row = done.frame.book.names.tolist().index(name)
    return float(done.book.balance[done.book.balance_account == row].sum())


def equity(done, name):
    row = done.frame.book.names.tolist().index(name)
    return float(done.pools.columns.equity[done.pools.columns.account == row].sum())


def causes(done):
    return [e.event.cause for e in done.log if isinstance(e.event, Traded)]


def test_a_vault_takes_over_what_is_far_below_maintenance_with_all_that_is_left():
    """A long of 1 BTC with 6,000: at 45,300 it has 1,300, and maintenance is 2,265 of which two thirds are 1,510."""
    done = run([holder("a", 1.0, 6_000.0), VAULT], [START, 45_300.0], Vault(account="vault"))
    assert causes(done) == [Cause.TAKEOVER]
    assert position(done, "a") == 0.0
    assert position(done, "vault") == 1.0
    assert cash(done, "a") == 0.0
    assert equity(done, "vault") == pytest.approx(101_300.0, abs=1e-6)
    assert done.steps.taken_over[-1] == pytest.approx(45_300.0)
    assert [sums.tolist() for sums in totals(done.frame, done.end)] == [
        sums.tolist() for sums in totals(done.frame, done.opening)
    ]


def test_what_is_only_a_little_below_goes_to_the_market():
    done = run([holder("a", 1.0, 6_000.0), VAULT], [START, 46_000.0], Vault(account="vault"))
    assert causes(done) == [Cause.LIQUIDATION]
    assert position(done, "vault") == 0.0


def test_a_vault_bears_what_a_pool_lacks_and_offsets_what_it_takes():
    """A long that owes 500 and an isolated short that gains nothing for the vault: it holds the difference."""
    held = [holder("long", 1.0, 4_500.0), holder("short", -0.4, 3_000.0, isolated=2_100.0), VAULT]
    done = run(held, [START, 45_000.0, 54_600.0], Vault(account="vault"))
    assert causes(done) == [Cause.TAKEOVER, Cause.TAKEOVER]
    assert position(done, "vault") == pytest.approx(0.6)
    gained = 1.0 * (54_600.0 - 45_000.0) - 500.0 + (2_100.0 - 0.4 * 4_600.0)
    assert equity(done, "vault") == pytest.approx(100_000.0 + gained, abs=1e-6)


def test_a_vault_unwinds_a_share_a_step_and_moves_the_price():
    deep = Liquidity(depth=Depth(contracts=100.0), impact=Impact(coefficient=0.1))
    done = run(
        [holder("a", 1.0, 6_000.0), VAULT],
        [START, 45_300.0, 45_300.0, 45_300.0],
        Vault(account="vault", unwinds=0.5),
        liquidity={"BTCUSDT": deep},
    )
    assert causes(done) == [Cause.TAKEOVER, Cause.UNWINDING, Cause.UNWINDING]
    assert position(done, "vault") == 0.25
    assert done.steps.last[3, 0] < done.steps.last[2, 0]
    assert done.steps.last[2, 0] < done.steps.last[1, 0]
    assert done.steps.liquidated.sum() == 0.0


def test_a_vault_that_is_short_of_margin_is_liquidated_like_anybody():
    poor = Account(name="vault", balances=(Balance(asset="USDT", amount=100.0),))
    done = run([holder("a", 1.0, 6_000.0), poor], [START, 45_300.0, 44_000.0], Vault(account="vault"))
    assert Cause.LIQUIDATION in causes(done)
    assert position(done, "vault") == 0.0


def test_a_vault_must_be_an_account_with_cross_positions():
    with pytest.raises(InvalidInputError, match="no account of the book"):
        run([holder("a", 1.0, 6_000.0)], [START], Vault(account="vault"))
    with pytest.raises(InvalidInputError, match="cross positions alone"):
        run([holder("vault", 1.0, 6_000.0, isolated=3_000.0)], [START], Vault(account="vault"))
    for wrong in ({"below": 0.0}, {"unwinds": 1.5}):
        with pytest.raises(ValueError, match=r"vault\."):
            Vault(account="vault", **wrong)
