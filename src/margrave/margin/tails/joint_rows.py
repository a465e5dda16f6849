"""Rows of joint scenarios: what every asset's price and vol are multiplied by, from history or from draws.

The same row moves all assets, so that their dependence is kept. What is missing is an issue, never a guess.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Final, assert_never, final

import numpy as np

from margrave.core.errors import Issue, Reason
from margrave.domain.market import Market
from margrave.kernels.arrays import F64
from margrave.kernels.draws import correlated, correlation_root, standard_normals, student_scale
from margrave.kernels.history import ewma_variances, half_rescaled, rescaled, vol_ratios
from margrave.kernels.holding_period import horizon_factor
from margrave.rulebook.tail import EwmaFilter, History, MonteCarlo, ReturnKind, Scaling, Student, TailModel

_DAYS_IN_YEAR: Final = 365.0
_KEPT: Final = 16  # sets of rows that stay in memory


@final
@dataclass(frozen=True, slots=True)
class JointRows:
    """N scenarios of F assets; none where an issue says why."""

    assets: tuple[str, ...]  # (F,)
    price: F64  # (N, F) what each price is multiplied by, > 0
    vol: F64  # (N, F) what the vols of each asset's options are multiplied by, >= 0
    issues: tuple[Issue, ...] = ()


_ROWS: OrderedDict[tuple[int, int, tuple[str, ...]], tuple[TailModel, Market, JointRows]] = OrderedDict()


def joint_rows(model: TailModel, market: Market, assets: tuple[str, ...]) -> JointRows:
    """Scenarios of assets; the same objects are asked once.

    Parameters
    ----------
    model, market : TailModel, Market
        Where rows come from.
    assets : (F,) tuple of str
        Assets that move, in alphabetical order.

    Returns
    -------
    JointRows
        History: one row a date, ``1 + r sqrt(horizon / days)`` with r filtered where the rules say so.
        Monte Carlo: ``1 + x`` or ``e^x`` with ``x = vol sqrt(horizon / 365) z``. Without rows where data are missing,
        correlations cannot hold together, or a price would end at zero.

    References
    ----------
    Clearing 2.1 and 2.2; spec rows PMM-1 and PMM-5.
    """
    key = (id(model), id(market), assets)
    found = _ROWS.get(key)
    # An id is only as good as the object behind it: what is kept keeps both alive.
    if found is None or found[0] is not model or found[1] is not market:
        found = (model, market, _known(model, market, assets))
        _ROWS[key] = found
        while len(_ROWS) > _KEPT:
            _ROWS.popitem(last=False)
    return found[2]


def _known(model: TailModel, market: Market, assets: tuple[str, ...]) -> JointRows:
    source = model.scenarios
    if isinstance(source, History):
        issues = tuple(_without_history(model, source, market, assets))
    else:
        issues = tuple(_without_draws(source, market, assets))
    if not issues:
        rows = _rows(model, market, assets)
        issues = tuple(_below_zero(assets, rows.price, model.horizon_days)) if assets else ()
        if not issues:
            return rows
    nothing = np.zeros((0, len(assets)))
    return JointRows(assets, nothing, nothing, issues)


def _rows(model: TailModel, market: Market, assets: tuple[str, ...]) -> JointRows:
    match model.scenarios:
        case History() as source:
            return _historical(source, market, assets, model.horizon_days)
        case MonteCarlo() as source:
            return _drawn(source, market, assets, model.horizon_days)
        case unknown:
            assert_never(unknown)


def _historical(source: History, market: Market, assets: tuple[str, ...], horizon: float) -> JointRows:
    listed = returns_of(source, market)
    count = len(next(iter(listed.values()), ()))
    returns = np.array([listed[asset] for asset in assets]).reshape(len(assets), count).T
    if source.filter is not None and count:
        returns = _filtered(source.filter, returns)
    still = np.zeros(count)
    moves = [source.vol_moves.get(asset, still) for asset in assets]
    vol = np.array(moves).reshape(len(assets), count).T
    scale = horizon_factor(horizon, source.days)
    return JointRows(assets, 1.0 + returns * scale, np.maximum(1.0 + vol * scale, 0.0))


def returns_of(source: History, market: Market) -> dict[str, tuple[float, ...]]:
    """Returns of every asset, as the rulebook lists them, else the market's."""
    return source.returns or dict(market.returns)


def _filtered(rule: EwmaFilter, returns: F64) -> F64:
    seed = np.mean(returns**2, axis=0) if rule.seed_deviation is None else rule.seed_deviation**2
    variances = ewma_variances(returns, rule.decay, np.where(seed == 0.0, 1.0, seed))
    ratio = vol_ratios(variances, rule.ratio_least, rule.ratio_most)
    return rescaled(returns, ratio) if rule.scaling is Scaling.FULL else half_rescaled(returns, ratio)


def _drawn(source: MonteCarlo, market: Market, assets: tuple[str, ...], horizon: float) -> JointRows:
    draws = [standard_normals(source.seed, asset, source.count) for asset in assets]
    z = np.array(draws).reshape(len(assets), source.count).T
    z = correlated(z, correlation_root(_correlations(market, assets)))
    if isinstance(source.distribution, Student):
        z = z * student_scale(source.seed, source.distribution.degrees, source.count)[:, None]
    deviation = np.array([market.vols[asset] for asset in assets]) * sqrt(horizon / _DAYS_IN_YEAR)
    x = z * deviation
    price = 1.0 + x if source.returns is ReturnKind.SIMPLE else np.exp(x)
    return JointRows(assets, price, _drawn_vols(source, assets, z, horizon))


def _drawn_vols(source: MonteCarlo, assets: tuple[str, ...], z: F64, horizon: float) -> F64:
    rule = source.vols
    if rule is None:
        return np.ones(z.shape)
    own = [standard_normals(source.seed, f"vol of {asset}", source.count) for asset in assets]
    w = np.array(own).reshape(len(assets), source.count).T
    mixed = rule.correlation * z + sqrt(1.0 - rule.correlation**2) * w
    return np.exp(rule.vol_of_vol * sqrt(horizon / _DAYS_IN_YEAR) * mixed)


def _pair(market: Market, one: str, other: str) -> float | None:
    known = market.correlations
    return known.get((one, other), known.get((other, one)))


def _correlations(market: Market, assets: tuple[str, ...]) -> F64:
    matrix = np.eye(len(assets))
    for i, one in enumerate(assets):
        for j in range(i):
            rho = _pair(market, one, assets[j])
            assert rho is not None, "a pair without a correlation is an issue"
            matrix[i, j] = matrix[j, i] = rho
    return matrix


def _without_history(
    model: TailModel, source: History, market: Market, assets: tuple[str, ...]
) -> Iterator[Issue]:
    listed = returns_of(source, market)
    for asset in assets:
        if asset not in listed:
            text = "has no returns for joint scenarios; add its row of [market.returns], or name it among the rulebook's still assets"
            if source.returns:
                text = "has no returns in the rulebook, so that its joint scenarios are unknown; choose another rulebook"
            yield Issue(asset, Reason.NOT_FOUND, text)
    count = len(next(iter(listed.values()), ()))
    inside = count * (1.0 - model.measure.confidence)
    if listed and assets and inside < 1.0 - 1e-9:
        text = f"has {count} rows, which leave {inside:.3g} beyond a confidence of {model.measure.confidence:g}; give a longer history"
        yield Issue("market.returns", Reason.NOT_FOUND, text)


def _without_draws(source: MonteCarlo, market: Market, assets: tuple[str, ...]) -> Iterator[Issue]:
    for asset in assets:
        if asset not in market.vols:
            text = "has no vol to draw scenarios with; add it to [market.vols], or name it among the rulebook's still assets"
            yield Issue(asset, Reason.MISSING_VOL, text)
    pairs = [(one, other) for k, one in enumerate(assets) for other in assets[k + 1 :]]
    missing = [f"{one}/{other}" for one, other in pairs if _pair(market, one, other) is None]
    for name in missing:
        text = "has no correlation to draw scenarios with; add it to [market.correlations]"
        yield Issue(name, Reason.NOT_FOUND, text)
    if not missing and pairs:
        try:
            correlation_root(_correlations(market, assets))
        except ValueError:
            text = f"of {', '.join(assets)} cannot hold together (no positive semidefinite matrix); lower one"
            yield Issue("market.correlations", Reason.CONTRADICTION, text)


def _below_zero(assets: tuple[str, ...], price: F64, horizon: float) -> Iterator[Issue]:
    for asset, lowest in zip(assets, price.min(axis=0).tolist(), strict=True):
        if lowest <= 0.0:
            text = f"has a scenario of {lowest - 1.0:.0%} over {horizon:g} days; draw log returns, or shorten the horizon"
            yield Issue(asset, Reason.CONTRADICTION, text)
