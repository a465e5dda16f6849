"""The fee of a fill by the rulebook's own rates, or by the instrument's."""

from margrave.core.errors import Reason, refused
from margrave.core.words import Liquidity
from margrave.domain.fills import notional
from margrave.domain.instruments import Instrument, Option, QuotePremium, coefficients, payoff_asset
from margrave.kernels.fees import option_fee
from margrave.margin.plan import matches
from margrave.rulebook.schema import FeeRule, Rulebook


def fee_of(
    rulebook: Rulebook,
    instrument: Instrument,
    quantity: float,
    price: float,
    liquidity: Liquidity,
    account: str,
) -> float:
    """Fee of a trade.

    Parameters
    ----------
    rulebook : Rulebook
        Its first fee rule that matches the instrument holds; without one a taker pays the instrument's taker fee.
    instrument, quantity, price : Instrument, float, float
        What was traded: signed contracts, and the price [as the mark].
    liquidity : Liquidity
        Whose rate counts.
    account : str
        For messages.

    Returns
    -------
    float
        Paid > 0, rebate < 0 [settlement asset]: a rate of the notional at the price; of an option in coin a rate of its
        coins, at most the rule's share of the premium (spec deribit.md 6, DERIBIT-FEE-001).

    Raises
    ------
    RefusedError
        There is no rate, or the fee is in an asset that the price does not lead to.
    """
    where = f"{account}: {instrument.symbol}"
    if payoff_asset(instrument) != instrument.settlement or isinstance(instrument.payoff, QuotePremium):
        message = "has a fee that needs more than the fill's price; state the fill's fee"
        raise refused(where, Reason.UNSUPPORTED, message)
    rule = next((rule for rule in rulebook.fees if matches(rule.match, instrument)), None)
    rate = _rate(rule, instrument, liquidity)
    if rate is None:
        message = (
            f"has no {liquidity} fee in {rulebook.id}; state the fill's fee, or write [[fees]] in a rulebook"
        )
        raise refused(where, Reason.NO_RULE, message)
    if not isinstance(instrument.kind, Option):
        return rate * notional(instrument.payoff, quantity, price)
    cap = float("inf") if rule is None or rule.premium_cap is None else rule.premium_cap
    coins = abs(quantity) * coefficients(instrument.payoff)[0]
    return coins * float(option_fee(rate, price, cap))


def _rate(rule: FeeRule | None, instrument: Instrument, liquidity: Liquidity) -> float | None:
    if rule is None:
        return instrument.taker_fee if liquidity is Liquidity.TAKER else None
    return rule.taker if liquidity is Liquidity.TAKER else rule.maker
