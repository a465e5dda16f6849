"""What standing alone asks of a position: the margin that leaves the wallet when it becomes isolated."""

from dataclasses import replace

from margrave.core.words import MarginMode
from margrave.domain.account import Account
from margrave.domain.instruments import Option
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment
from margrave.rulebook.schema import Rulebook


def isolated_margins(account: Account, market: Market, rulebook: Rulebook) -> tuple[tuple[str, float], ...]:
    """Asset and margin of every position, were each isolated.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        As they are.

    Returns
    -------
    tuple of (str, float)
        In the order of the account's positions: settlement asset, and margin >= 0 in it. A position that is
        isolated has what it says; zero where a pool cannot be valued.
    """
    alone = tuple(replace(p, mode=MarginMode.ISOLATED) for p in account.positions)
    pools = [
        p for p in assess(replace(account, positions=alone), market, rulebook).pools if p.mode == "isolated"
    ]
    return tuple((pool.currency, _margin(pool, market)) for pool in pools)


def _margin(pool: PoolAssessment, market: Market) -> float:
    # Equity is margin, unrealised profit of futures, and value of options.
    (position,) = pool.positions
    instrument = market.instruments.get(position.symbol)
    option = instrument is not None and isinstance(instrument.kind, Option)
    margin = pool.equity - (position.value if option else position.profit)
    return max(margin, 0.0) if margin == margin else 0.0
