"""Contract terms as a case file writes them."""

import msgspec

from margrave.adapters.forms import InstrumentForm
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Linear,
    Option,
    Perpetual,
    Quanto,
    QuotePremium,
    Spot,
)


def instrument_form(instrument: Instrument) -> InstrumentForm:
    """Contract terms as a case file writes them."""
    kinds: dict[type, str] = {Spot: "spot", Perpetual: "perpetual", Future: "future", Option: "option"}
    payoffs: dict[type, str] = {
        Linear: "linear",
        Inverse: "inverse",
        Quanto: "quanto",
        CoinPremium: "coin-premium",
        QuotePremium: "quote-premium",
    }
    terms = {
        name: getattr(instrument.payoff, name, None)
        for name in ("contract_size", "contract_value", "multiplier")
    }
    terms |= {name: getattr(instrument.kind, name, None) for name in ("expiry", "strike", "right")}
    named = {
        name: getattr(instrument, name)
        for name in ("symbol", "base", "quote", "settlement", "tick", "taker_fee")
    }
    given = {k: v for k, v in {**named, **terms}.items() if v is not None}
    return msgspec.convert(
        {**given, "kind": kinds[type(instrument.kind)], "payoff": payoffs[type(instrument.payoff)]},
        type=InstrumentForm,
    )
