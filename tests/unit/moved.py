"""Markets after a move of index prices: what a feed would send, with marks that follow, and others that do not quite."""

from dataclasses import replace

import numpy as np

from margrave.domain.market import Market
from margrave.valuation.scenarios import shifted
from margrave.valuation.table import table_of


def moved_market(market: Market, factor: dict[str, float], parting: float = 0.0, seed: int = 0) -> Market:
    """Every index price times its factor, marks and forwards with them, each off by at most ``parting`` [logarithm]."""
    symbols = tuple(market.instruments)
    table = table_of(symbols, tuple(market.index), market)
    shift = np.array([[factor.get(name, 1.0) for name in table.assets]])
    dice = np.random.default_rng(seed)
    off = np.exp(dice.uniform(-parting, parting, (2, len(symbols))))
    priced = shifted(table, shift)
    again = replace(table, forward=table.forward * off[1]) if parting else table
    options = shifted(again, shift)
    quotes = {}
    for row, symbol in enumerate(symbols):
        quote = market.quotes[symbol]
        if table.is_option[row]:
            mark = float(options.mark[0, row]) if parting == 0.0 else quote.mark
            forward = float(options.forward[0, row])
            quotes[symbol] = replace(quote, mark=mark, forward=forward)
        else:
            quotes[symbol] = replace(quote, mark=float(priced.mark[0, row] * off[0, row]))
    index = {name: price * factor.get(name, 1.0) for name, price in market.index.items()}
    return replace(market, quotes=quotes, index=index)
