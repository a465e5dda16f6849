"""Translators of mark prices and funding rates."""

from datetime import datetime
from typing import Any

from margrave.adapters.conform.vector import Vector
from margrave.kernels.funding import (
    clamped_funding,
    fair_future,
    fair_perpetual,
    impact_notional,
    interest_rate,
)

BINANCE_IMPACT_MARGIN = 200.0  # [USDT] Binance support pages of 2020-06
BINANCE_DEFAULT_INITIAL = 0.05  # leverage of 20 unless the holder chooses another
BITMEX_IMPACT_MARGIN = 0.1  # [XBT] BitMEX, "Fair price marking"


def binance_mark(v: Vector) -> dict[str, Any]:
    """Mark of 2020: index and the funding still to come."""
    mark = float(fair_perpetual(v.number("index"), v.number("funding_rate"), v.number("hours_to_funding")))
    return {"mark": mark, "basis_pct": 100 * (mark / v.number("index") - 1)}


def binance_clamp(v: Vector) -> dict[str, Any]:
    """Funding of premiums inside and outside the clamp."""
    low, high = (float(clamped_funding(float(p), v.number("interest"))) for p in v.inputs["premiums"])
    return {
        "f_low": low,
        "f_high": high,
        "impact_notional": float(impact_notional(BINANCE_IMPACT_MARGIN, BINANCE_DEFAULT_INITIAL)),
    }


def bitmex_future(v: Vector) -> dict[str, Any]:
    """Fair price of a dated future from its impact mid price."""
    basis, price = fair_future(v.number("index"), v.number("impact_mid"), v.number("days_to_expiry"))
    return {
        "fair_basis_pct": 100 * float(basis),
        "fair_value": float(price) - v.number("index"),
        "fair_price": float(price),
    }


def bitmex_impact(v: Vector) -> dict[str, Any]:
    """Impact notionals of initial rates."""
    return dict(
        zip(
            "abc",
            (float(impact_notional(BITMEX_IMPACT_MARGIN, float(rate))) for rate in v.inputs["im"]),
            strict=True,
        )
    )


def bitmex_perpetual(v: Vector) -> dict[str, Any]:
    """Fair price of a perpetual; the venue computes it once a minute, at its start."""
    now, then = (
        datetime.fromisoformat(str(v.inputs[k]).replace("Z", "+00:00")) for k in ("now", "next_funding")
    )
    hours = (then - now.replace(second=0, microsecond=0)).total_seconds() / 3600
    interval = v.number("interval_h", 8.0)
    price = float(fair_perpetual(v.number("index"), v.number("funding_rate"), hours, interval))
    annual = v.number("funding_rate") * 24 / interval * 365
    return {"fairBasis": price - v.number("index"), "fairPrice": price, "fairBasisRate": annual}


def bitmex_interest(v: Vector) -> dict[str, Any]:
    """Interest part per eight hours."""
    return {"interest_8h": interest_rate(v.number("fundingQuoteRate"), v.number("fundingBaseRate"))}


TRANSLATORS = {
    "mark price of a perpetual (2020 rule)": binance_mark,
    "funding rate clamp: premium -0.04%..0.06% gives 0.01%": binance_clamp,
    "fair price marking (expiring future)": bitmex_future,
    "impact margin notional = 0.1 XBT / IM": bitmex_impact,
    "fair price marking (perpetual), live instrument record": bitmex_perpetual,
    "funding interest component (quote-base)/3": bitmex_interest,
}
