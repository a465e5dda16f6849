"""Scenario margin of one pool in plain loops, written from the specification: the slow twin of `margin.scenario.scenarios`.

A row is (instrument, contracts, quote). Prices are in dollars; a pool counts in dollars or in a coin.
"""

from math import erfc, expm1, log, sqrt

from margrave.domain.instruments import CoinPremium, Inverse, Linear, Option, Perpetual, Right
from margrave.rulebook import portfolio as p
from tests.unit.made import AT


def normal(x):
    return 0.5 * erfc(-x / sqrt(2.0))


def black(forward, strike, vol, years, is_call):
    """Black-76 in dollars."""
    width = vol * sqrt(years)
    if width == 0.0:
        return max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    d = log(forward / strike) / width + 0.5 * width
    if is_call:
        return forward * normal(d) - strike * normal(d - width)
    return strike * normal(width - d) - forward * normal(-d)


def delta_of(row):
    """Delta of a row in coins."""
    instrument, size, quote = row
    coins = size / quote.mark if isinstance(instrument.payoff, Inverse) else size
    if not isinstance(instrument.kind, Option):
        return coins
    width = quote.vol * sqrt(years_of(instrument))
    d = log(quote.forward / instrument.kind.strike) / width + 0.5 * width
    return coins * (normal(d) if instrument.kind.right is Right.CALL else normal(d) - 1.0)


def years_of(instrument):
    if isinstance(instrument.kind, Perpetual):
        return 0.0
    return (instrument.kind.expiry - AT).total_seconds() / (365.0 * 86_400.0)


def cells_of(cells):
    """Move, vol, weight, edge, whether tail."""
    rows = []
    if cells.even:
        steps = cells.even.each_side
        for k in range(-steps, steps + 1):
            m = cells.even.range * k / steps
            rows += [(m, vol, 1.0, m, False) for vol in cells.even.vols]
    rows += [(c.move, c.vol, c.weight, c.move, False) for c in cells.listed]
    if cells.tail:
        for m in cells.tail.moves:
            edge = cells.even.range if m > 0 else -cells.even.range
            rows.append((m, cells.tail.vol, cells.tail.factor * cells.even.range / abs(m), edge, True))
    return rows


def vol_in(shock, how, vol, days):
    scale = (30.0 / max(days, shock.days_least)) ** (shock.power_short if days < 30.0 else shock.power_long)
    points = shock.unit is p.VolUnit.POINTS
    if how is p.VolMove.UP:
        return max(vol + shock.up * scale if points else vol * (1.0 + shock.up * scale), shock.vol_least_up)
    if how is p.VolMove.DOWN:
        return max(vol - shock.down * scale, 0.0) if points else vol * max(1.0 - shock.down * scale, 0.0)
    return vol


def gain_of(row, terms, move, how, prices, currency):
    """Profit of a row in a cell, in the pool's currency at the cell's prices."""
    instrument, size, quote = row
    base, payoff, kind = instrument.base, instrument.payoff, instrument.kind
    if isinstance(kind, Option):
        years, is_call, coin = years_of(instrument), kind.right is Right.CALL, isinstance(payoff, CoinPremium)
        forward = quote.forward * (1.0 + move)
        then = black(forward, kind.strike, vol_in(terms.vol, how, quote.vol, years * 365.0), years, is_call)
        now = black(quote.forward, kind.strike, quote.vol, years, is_call)
        shift = then / forward - now / quote.forward if coin else then - now
        mark = max(quote.mark + shift, 0.0)
        if coin and is_call:
            mark = min(mark, max(1.0, quote.mark))
        profit = size * (mark - quote.mark)
    elif isinstance(payoff, Inverse):
        profit = size * (1.0 / quote.mark - 1.0 / (quote.mark * (1.0 + move)))
    else:
        profit = size * quote.mark * move
    paid = instrument.quote if isinstance(payoff, Linear) or (isinstance(kind, Option) and not coin) else base

    def price(asset):
        return prices.get(asset, 1.0) * (1.0 + move if asset == base else 1.0)

    return profit * price(paid) / price(currency)


def margin(rows, model, prices, currency):
    """Initial and maintenance of a pool, and the worst loss of each underlying."""
    units = {}
    for row in rows:
        units.setdefault(row[0].base, []).append(row)
    risks, worst_of, sides = ([], []), {}, []
    for base, mine in units.items():
        terms = p.terms_of(model, base)
        worst, side = worst_loss(mine, terms, prices, currency)
        worst_of[base] = worst
        sides.append(side)
        for level in (0, 1):
            risks[level].append(risk_of(mine, terms, worst, prices, currency, level))
    names, factors = list(units), (model.levels.initial, model.levels.maintenance)
    levels = [
        factors[k] * together(model.correlation, names, [r for r, _ in risks[k]], sides)
        + sum(after for _, after in risks[k])
        for k in (0, 1)
    ]
    return levels[0], levels[1], worst_of


def worst_loss(rows, terms, prices, currency):
    base = rows[0][0].base
    least, side = None, 0.0
    for move, how, weight, edge, is_tail in cells_of(terms.cells):
        gain = 0.0
        for row in rows:
            gain += gain_of(row, terms, move, how, prices, currency)
        gain *= weight
        if base == currency:
            gain *= (1.0 + move) / (1.0 + edge)
        gain = kept(gain, terms, (move, edge, is_tail), prices[base], base == currency)
        if least is None or gain < least:
            least, side = gain, (move > 0) - (move < 0)
    return max(-least, 0.0), side


def kept(gain, terms, cell, price, in_coin):
    rule, (_, edge, is_tail) = terms.gains, cell
    if rule is None:
        return gain
    unit = price * (1.0 + edge) if in_coin else 1.0
    if gain > 0.0:
        gain = rule.share * gain
        if rule.most is not None:
            gain = min(gain, rule.most / unit)
    if is_tail:
        less = rule.tail_dampener / unit * (abs(cell[0]) / abs(edge) - 1.0)
        gain = max(gain - less, 0.0) if gain > 0.0 else min(gain + less, 0.0)
    return gain


def risk_of(rows, terms, worst, prices, currency, level):
    sums = dict.fromkeys(p.Role, 0.0)
    for charge in terms.charges:
        if not (charge.initial if level == 0 else charge.maintenance):
            continue
        amount = amount_of(charge, rows, prices, currency)
        if charge.role is p.Role.COMPETES:
            sums[charge.role] = max(sums[charge.role], amount)
        else:
            sums[charge.role] += amount
    risk = max(worst, sums[p.Role.COMPETES]) + sums[p.Role.ADDS]
    return max(risk, sums[p.Role.LEAST]), sums[p.Role.AFTER]


def amount_of(charge, rows, prices, currency):
    base = rows[0][0].base
    unit = prices[base] / prices.get(currency, 1.0)
    match charge:
        case p.AmountCharge():
            return charge.amount if any(s for _, s, _ in rows) else 0.0
        case p.NotionalCharge() | p.OffsetCharge():
            return charge.rate * notional(charge, rows) * unit
        case p.LiquidityCharge():
            return liquidity(charge, rows, prices[base]) / prices[base] * unit
        case p.ForwardCharge():
            return forward_charge(charge, rows, prices, currency)
    return of_deltas(charge, rows) * unit


def coins_of(row):
    instrument, size, quote = row
    return size / quote.mark if isinstance(instrument.payoff, Inverse) else size


def is_option(row):
    return isinstance(row[0].kind, Option)


def notional(charge, rows):
    """Coins that a share is charged of."""
    if isinstance(charge, p.OffsetCharge):
        plain = [coins_of(row) for row in rows if not is_option(row)]
        return min(sum(c for c in plain if c > 0), -sum(c for c in plain if c < 0))
    if charge.of is p.Held.NAKED_OPTIONS:
        strikes = {}
        for row in rows:
            if is_option(row):
                key = (row[0].kind.expiry, row[0].kind.strike)
                strikes[key] = strikes.get(key, 0.0) + coins_of(row)
        return sum(max(-net, 0.0) for net in strikes.values())
    wanted = {
        p.Held.OPTIONS: is_option,
        p.Held.FUTURES: lambda row: not is_option(row),
        p.Held.PERPETUALS: lambda row: isinstance(row[0].kind, Perpetual),
    }[charge.of]
    return sum(abs(coins_of(row)) for row in rows if wanted(row))


def of_deltas(charge, rows):
    """Coins of a charge on deltas."""
    deltas = [delta_of(row) for row in rows]
    if isinstance(charge, p.HedgedDeltaCharge):
        net, gross = abs(sum(deltas)), sum(abs(d) for d in deltas)
        return charge.net * net + charge.hedged * (gross - net) / 2.0
    nets = {}
    for (instrument, _, _), delta in zip(rows, deltas, strict=True):
        key = (years_of(instrument), instrument.settlement)
        nets[key] = nets.get(key, 0.0) + delta
    return sum(abs(d) * max(charge.least, expm1(charge.rate * t)) for (t, _), d in nets.items())


def liquidity(charge, rows, price):
    """Dollars of the charge on a large net delta: long options may only reduce what the rest must sell or buy."""
    longs = sum(delta_of(row) for row in rows if is_option(row) and row[1] > 0)
    rest = sum(delta_of(row) for row in rows) - longs
    size = abs(min(max(longs + rest, rest), 0.0) if rest < 0 else max(min(longs + rest, rest), 0.0))
    return min(max(size * price - charge.free, 0.0) * size * charge.increment, charge.most * size * price)


def forward_charge(charge, rows, prices, currency):
    still = p.UnitTerms(code="T", cells=p.Cells(code="T"), vol=p.VolShock(code="T", up=0.0, down=0.0))
    dates = {}
    for row in rows:
        if isinstance(row[0].kind, Option):
            dates.setdefault(years_of(row[0]), []).append(row)
    total = 0.0
    for years, mine in dates.items():
        gains = [
            sum(gain_of(row, still, move, p.VolMove.SAME, prices, currency) for row in mine)
            for move in (charge.up, charge.down)
        ]
        total += max(-min(gains), 0.0) * (charge.add + charge.multiple * years)
    return total


def together(rule, names, risks, sides):
    whole = sum(risks)
    if rule is None:
        return whole
    known = {frozenset((r.first, r.second)): r.correlation for r in rule.pairs}
    square = 0.0
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            rho = 1.0
            if i != j and frozenset((a, b)) in known and sides[i] and sides[j]:
                rho = known[frozenset((a, b))] * sides[i] * sides[j]
            square += rho * risks[i] * risks[j]
    return min(max(sqrt(max(square, 0.0)), (1.0 - rule.benefit_most) * whole), whole)
