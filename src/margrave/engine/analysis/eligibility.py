"""Whether an account may have portfolio margin, and what either set of rules asks of it (spec PMS-7, PM-7)."""

from dataclasses import dataclass
from typing import final

from margrave.domain.account import Account
from margrave.domain.market import Market
from margrave.engine.analysis.compare import Compared, Variant, compare
from margrave.engine.assess import assess
from margrave.rulebook.portfolio import ScenarioModel
from margrave.rulebook.schema import Rulebook


@final
@dataclass(frozen=True, slots=True)
class Eligible:
    """The rules that hold for an account, and both beside each other."""

    rulebook: Rulebook  # portfolio rules, or those that it falls back to
    reasons: tuple[str, ...]  # why not the portfolio rules; empty where they hold
    compared: tuple[Compared, ...]  # standard rules first


def eligible(
    account: Account, market: Market, portfolio: Rulebook, standard: Rulebook, is_opted_in: bool = True
) -> Eligible:
    """Choose between portfolio rules and standard rules.

    Parameters
    ----------
    account, market : Account, Market
        As they are.
    portfolio, standard : Rulebook
        Rules that are chosen where they may be, and rules for everybody else.
    is_opted_in : bool
        Whether the holder chose portfolio margin.

    Returns
    -------
    Eligible
        An account whose equity is not known is not eligible.
    """
    reasons = [] if is_opted_in else ["portfolio margin was not chosen"]
    model = portfolio.portfolio
    if isinstance(model, ScenarioModel) and model.eligibility is not None:
        rule, equity = model.eligibility, _equity(account, market, portfolio)
        if equity != equity:
            reasons.append(f"equity is not known ({rule.code})")
        elif equity < rule.least_equity:
            reasons.append(
                f"equity of {equity:,.2f} {market.numeraire} is below {rule.least_equity:,.2f} ({rule.code})"
            )
    rows = compare(account, market, (Variant(standard.id, standard), Variant(portfolio.id, portfolio)))
    return Eligible(standard if reasons else portfolio, tuple(reasons), rows)


def _equity(account: Account, market: Market, rulebook: Rulebook) -> float:
    pools = assess(account, market, rulebook).pools
    prices = [market.index_of(pool.currency) for pool in pools]
    return sum(
        pool.equity * (float("nan") if price is None else price)
        for pool, price in zip(pools, prices, strict=True)
    )
