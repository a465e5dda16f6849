"""A saved answer of Deribit's ``private/pme/simulate``, recomputed from its own ``model_params``.

The account, the market and the rules are all in the payload. Ours is written in the same shape (`pme_shape`), and
every number of the venue's vectors and margins is compared with the one at the same place. What is not compared,
and why, is told with each number.

Left open by what Deribit documents: the order of the three vol scenarios of a price move, so that the three cells
of a move are compared as a set where options are held; the meaning of ``bucket``; how currencies of a cross account
offset; and the formulas of market maker protection, open order and spot margin and of the correlation contingency,
which are taken from the payload. Marks are rounded: an option's numbers agree within what half of the mark's last
digit leaves open.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

from margrave.adapters.claims import AnswerOutput, Claim, Claims, Output, digits_of
from margrave.adapters.pme_rules import MOVES, PARAMETERS, rules_of
from margrave.adapters.pme_shape import coins_per_contract, rendered
from margrave.adapters.rows import Row, number
from margrave.adapters.symbols import deribit
from margrave.adapters.verify import Comparison, Lookup, Missing, compare
from margrave.core.errors import Reason, invalid
from margrave.domain.account import Account, Balance, Position
from margrave.domain.instruments import Instrument, Option
from margrave.domain.market import Market, Quote
from margrave.engine.analysis.matrix import risk_matrix

_SECTIONS: Final = ("initial_risk_vectors", "pre_aggregated_risk_vectors", "aggregated_risk_vectors")
_CELL_DIGITS, _MARGIN_DIGITS = 12, 9  # closing zeros are dropped: what is shown shorter is as exact
_READ: Final = ("model_params", "margins", "portfolio", "index_price", "ticker")
_NEEDED: Final = ("model_params", "portfolio", "ticker")
_SIDES: Final = {"left": -1.0, "centre": 0.0, "right": 1.0}
_SOURCES: Final = {"standard": 0.0, "extended": 1.0}
_STATED: Final = ("mmp_margin", "open_orders_margin", "spot_margin", "correlation_contingency")
_ABSENT = "is not in the payload's portfolio, or its currency is not"
_NOT_OURS: Final = {
    "bucket": "what the field counts is not documented",
    **dict.fromkeys(_STATED, "its formula is not published; the payload's own amount is used"),
}

Places: TypeAlias = dict[str, float]


@final
@dataclass(frozen=True, slots=True)
class Simulation:
    """A payload with our answer beside it."""

    claims: Claims
    ours: Lookup
    notes: tuple[str, ...]

    def compared(self) -> tuple[Comparison, ...]:
        """Every number of the payload beside ours, in the payload's order."""
        return compare(self.claims, self.ours)


@final
@dataclass(frozen=True, slots=True)
class _Told:
    """The objects of a payload."""

    where: str
    fields: Mapping[str, Any]
    at: datetime
    positions: Mapping[str, tuple[Instrument, float]]  # coins
    cells: int  # of a standard vector

    def part(self, *names: str) -> Row:
        row = Row(self.fields, self.where)
        for name in names:
            row = row.part(name)
        return row


def recognises(tree: Any) -> bool:
    """Whether a payload is of this answer."""
    result = tree.get("result", tree) if isinstance(tree, dict) else None
    return isinstance(result, dict) and bool(result.keys() & {*_SECTIONS, "model_params"})


def read(tree: Any, where: str) -> Simulation:
    """Recompute a saved answer.

    Parameters
    ----------
    tree : dict
        The answer, with or without its envelope.
    where : str
        Its place, for messages.

    Raises
    ------
    InvalidInputError
        A field is missing or of another form than documented, or an instrument is not known.
    """
    told = _told(tree.get("result", tree), where)
    claims, kinds = _claims(told)
    try:
        middle = _answer(told)
        open_by = _left_open(told, middle)
    except (ValueError, ArithmeticError) as fault:
        raise invalid(
            where, Reason.INVALID_VALUE, f"{fault}; the payload holds a number that cannot be used"
        ) from fault
    claimed = {replace(c, left_open=open_by.get(o.place, 0.0)): o for c, o in claims.items()}

    def ours(claim: Claim, output: Output) -> float | Missing | None:
        del claim
        assert isinstance(output, AnswerOutput)
        if output.place in kinds:
            return Missing(kinds[output.place])
        return middle.get(output.place, Missing(_ABSENT))

    return Simulation(MappingProxyType(dict(claimed)), ours, _notes(told))


def _told(result: Any, where: str) -> _Told:
    if not isinstance(result, dict):
        raise invalid(where, Reason.MALFORMED, "holds no result; save the answer of private/pme/simulate")
    for name in (*_SECTIONS, *_READ):
        if not isinstance(result.get(name, None if name in _NEEDED else {}), dict):
            raise invalid(f"{where}.{name}", Reason.MALFORMED, "is no object; save the whole answer")
    for name, part in result["portfolio"].items():
        if not isinstance(part, dict):
            raise invalid(f"{where}.portfolio.{name}", Reason.MALFORMED, "is no object; save it again")
    general = Row(result, where).part("model_params").part("general")
    stamp = general.number("timestamp")
    if not 9.4e11 < stamp < 4.2e12:
        raise invalid(
            f"{general.where}.timestamp",
            Reason.WRONG_UNIT,
            f"is {stamp:g}; it must be milliseconds since 1970",
        )
    sizes = Row(result, where).part("portfolio").part("position")
    held = {name: (deribit(name, sizes.where), sizes.number(name)) for name in sizes.fields}
    count, vols = general.number("buckets_count"), general.number("vol_scenarios_count")
    if vols != 3 or not 1 <= count <= 1000 or count != int(count):
        raise invalid(
            general.where,
            Reason.UNSUPPORTED,
            f"has buckets_count {count:g} and vol_scenarios_count {vols:g}; buckets with three vol scenarios are known",
        )
    at = datetime.fromtimestamp(stamp / 1000.0, tz=UTC)
    positions = {name: (terms, size) for name, (terms, size) in held.items() if size}
    return _Told(where, result, at, positions, 3 * (2 * int(count) + 1))


def _has_options(told: _Told, currency: str | None = None) -> bool:
    return any(
        isinstance(i.kind, Option) and currency in (None, i.settlement) for i, _ in told.positions.values()
    )


def _differs_by_vol(told: _Told, name: str) -> bool:
    # Whether the vol scenarios of a vector differ, so that their order matters.
    if name in told.positions:
        return isinstance(told.positions[name][0].kind, Option)
    return any(
        isinstance(i.kind, Option) and f"{i.base}_{i.settlement}".lower() == name
        for i, _ in told.positions.values()
    )


def _left_open(told: _Told, middle: Places) -> Places:
    # What half of the last digit of every option's mark may add up to, at each place.
    left: Places = {}
    for symbol in (s for s, (i, _) in told.positions.items() if isinstance(i.kind, Option)):
        ends = [_answer(told, {symbol: half}) for half in (-0.5, 0.5)]
        for place, amount in middle.items():
            left[place] = left.get(place, 0.0) + max(abs(end[place] - amount) for end in ends)
    return left


def _answer(told: _Told, moved: Mapping[str, float] = MappingProxyType({})) -> Places:
    """Our numbers by their place; `moved` changes marks by a share of their last digit."""
    places: Places = {}
    for currency in dict.fromkeys(i.settlement for i, _ in told.positions.values()):
        mine = {s: (i, q) for s, (i, q) in told.positions.items() if i.settlement == currency}
        account, market = _account(told, currency), _market(told, mine, currency, moved)
        stated = _stated(told, currency)
        bases = tuple(dict.fromkeys(i.base for i, _ in mine.values()))
        rulebook = rules_of(told.part("model_params"), bases, currency, stated)
        account = replace(account, positions=_contracts(mine, market))
        matrix = risk_matrix(account, market, rulebook)
        for issue in (issue for pool in matrix.pools for issue in pool.issues):
            raise invalid(f"{told.where}: {issue.where}", issue.reason, issue.message)
        answer = rendered(matrix, account, market, rulebook)
        for section in _SECTIONS:
            for name, vectors in answer[section].items():
                for source, cells in vectors.items():
                    as_set = source == "standard" and _differs_by_vol(told, name)
                    places |= {
                        f"{section} {name} {what}": gain for what, gain in _cells(cells, source, as_set)
                    }
        places |= {place: _coded(value) for place, value in _leaves(answer["margins"], "margins")}
    return places


def _cells(cells: list[float], source: str, as_set: bool) -> Iterator[tuple[str, float]]:
    if not as_set:
        yield from ((f"{source} cell {k + 1}", cell) for k, cell in enumerate(cells))
        return
    for bucket in range(len(cells) // 3):
        ordered = sorted(cells[3 * bucket : 3 * bucket + 3])
        for rank, cell in zip(("lowest", "middle", "highest"), ordered, strict=True):
            yield f"{source} bucket {bucket + 1} {rank} of 3", cell


def _leaves(tree: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{place} {name}")
        else:
            yield f"{place} {name}", value


def _coded(value: Any) -> float:
    # Words of a worst cell are compared as numbers: left -1 and right 1, standard 0 and extended 1.
    return float({**_SIDES, **_SOURCES}.get(value, value) if isinstance(value, str) else value)


def _account(told: _Told, currency: str) -> Account:
    wallet = told.part("portfolio", "currency")
    amount = next((number(wallet.fields, k, wallet.where) for k in wallet.fields if k.upper() == currency), 0)
    return Account(name="simulated", balances=(Balance(asset=currency, amount=amount),))


def _contracts(mine: Mapping[str, tuple[Instrument, float]], market: Market) -> tuple[Position, ...]:
    positions = []
    for symbol, (instrument, coins) in mine.items():
        mark = market.quotes[symbol].mark
        per = coins_per_contract(instrument, mark)
        # Entry at the mark: profit since entry is not told, and is in no number that is compared.
        positions.append(Position(symbol=symbol, quantity=coins / per, entry=mark))
    return tuple(positions)


def _market(
    told: _Told, mine: Mapping[str, tuple[Instrument, float]], currency: str, moved: Mapping[str, float]
) -> Market:
    quotes = {s: _quote(told, i, moved.get(s, 0.0)) for s, (i, _) in mine.items()}
    named = told.part("index_price")
    index = {k.removesuffix("_usd").upper(): named.price(k) for k in named.fields if k.endswith("_usd")}
    for symbol, (instrument, _) in mine.items():
        # Of a coin-settled contract the index is the coin's, should index_price be without it.
        own = quotes[symbol].index
        if instrument.settlement == instrument.base and own is not None:
            index.setdefault(instrument.base, own)
    if currency.startswith("USD"):
        index.setdefault(currency, 1.0)
    return Market(at=told.at, instruments={s: i for s, (i, _) in mine.items()}, quotes=quotes, index=index)


def _quote(told: _Told, instrument: Instrument, moved: float) -> Quote:
    ticker = told.part("ticker", instrument.symbol)
    if not ticker.fields:
        raise invalid(ticker.where, Reason.MISSING_MARK, "is missing; each position needs its ticker")
    mark, index = ticker.price("mark_price"), ticker.price("index_price")
    if not isinstance(instrument.kind, Option):
        return Quote(mark=mark, index=index)
    if moved:
        mark = max(mark + moved * 10.0 ** -digits_of(ticker.raw("mark_price")), mark * 1e-3)
    forward = ticker.chosen("underlying_price") or _same_expiry(told, instrument) or index
    return Quote(mark=mark, index=index, forward=forward)


def _same_expiry(told: _Told, option: Instrument) -> float | None:
    # The forward of an option is the mark of the future that expires with it, where the payload tells it.
    tickers = told.part("ticker")
    future = option.symbol.rsplit("-", 2)[0]
    return tickers.part(future).chosen("mark_price") if future in tickers.fields else None


def _stated(told: _Told, currency: str) -> dict[str, float]:
    details = told.part("margins", currency.lower(), "initial_margin_details")
    inner = details.part("risk_matrix_margin_details")
    found = {name: (inner if name in inner.fields else details).optional(name) for name in _STATED}
    for name, amount in found.items():
        if amount is not None and amount < 0.0:
            raise invalid(f"{details.where}.{name}", Reason.INVALID_VALUE, f"is {amount:g}; it is at least 0")
    return {name: amount for name, amount in found.items() if amount}


def _claims(told: _Told) -> tuple[dict[Claim, AnswerOutput], dict[str, str]]:
    claims: dict[Claim, AnswerOutput] = {}
    missing: dict[str, str] = {}
    for section in _SECTIONS:
        for name, source, cells in _vectors(told, section):
            as_set = source == "standard" and _differs_by_vol(told, name)
            held = told.positions.get(name)
            unit = name.split("_")[-1].upper() if held is None else held[0].settlement
            for what, shown in _cells(cells, source, as_set):
                claim = Claim(f"{section}: {name}", what, shown, unit, digits_of(shown, _CELL_DIGITS))
                claims[claim] = AnswerOutput(f"{section} {name} {what}")
    for currency, row in told.part("margins").fields.items():
        if not isinstance(row, dict):
            raise invalid(f"{told.where}.margins.{currency}", Reason.MALFORMED, "is no object; save it again")
        for place, shown in _leaves(row, f"margins {currency}"):
            claims[_margin_claim(told, currency, place, shown)] = AnswerOutput(place)
            if reason := _reason(told, place, currency.upper()):
                missing[place] = reason
    return claims, missing


def _margin_claim(told: _Told, currency: str, place: str, shown: Any) -> Claim:
    _checked(shown, f"{told.where}.{place.replace(' ', '.')}")
    what = place.split(" ", 2)[2]
    if isinstance(shown, str) or what.endswith((" index", " bucket")):
        return Claim(f"margins: {currency}", what, _coded(shown), "", _MARGIN_DIGITS)
    digits = digits_of(shown, _MARGIN_DIGITS)
    return Claim(f"margins: {currency}", what, _coded(shown), currency.upper(), digits)


def _reason(told: _Told, place: str, currency: str) -> str:
    field = place.split(" ")[-1]
    if field in _NOT_OURS:
        return _NOT_OURS[field]
    held = {i.base for i, _ in told.positions.values() if i.settlement == currency}
    if not held:
        return _ABSENT
    if "worst_case_bucket" in place and len(held) > 1:
        return "several underlyings share this margin, and each has its own worst cell"
    if field == "index" and _has_options(told, currency):
        return "the order of vol scenarios within a price move is not documented"
    return ""


def _vectors(told: _Told, section: str) -> Iterator[tuple[str, str, list[float]]]:
    known = {"standard": told.cells, "extended": len(MOVES)}
    for name, vectors in told.part(section).fields.items():
        where = f"{told.where}.{section}.{name}"
        if section == "initial_risk_vectors":
            deribit(name, where)
        if not isinstance(vectors, dict) or not vectors.keys() <= known.keys():
            raise invalid(where, Reason.MALFORMED, "is no object of standard and extended; save it again")
        for source, cells in vectors.items():
            if not isinstance(cells, list) or len(cells) != known[source]:
                told_cells = f"{len(cells)} cells" if isinstance(cells, list) else "no list"
                raise invalid(
                    f"{where}.{source}", Reason.MALFORMED, f"has {told_cells}; {known[source]} are expected"
                )
            for k, cell in enumerate(cells):
                _checked(cell, f"{where}.{source}[{k}]")
            yield name, source, cells


def _checked(shown: Any, where: str) -> None:
    if isinstance(shown, str) and shown in (*_SIDES, *_SOURCES):
        return
    number({"value": shown}, "value", where)


def _notes(told: _Told) -> tuple[str, ...]:
    notes = []
    if _has_options(told):
        notes.append(
            "options: the order of vol scenarios is not documented; the three cells of a price move are a set"
        )
    params = told.part("model_params")
    unread = [
        f"{group}.{name}.{key}"
        for group in ("currency", "currency_pair")
        for name, row in params.part(group).fields.items()
        if isinstance(row, dict)
        for key in row
        if key not in PARAMETERS
    ]
    names = dict.fromkeys(key.rsplit(".", 1)[1] for key in unread)
    if names:
        notes.append(f"model_params that enter no number compared: {', '.join(names)}")
    if extra := [n for n in told.fields if n not in (*_SECTIONS, *_READ)]:
        notes.append(f"fields that are not known are left aside: {', '.join(extra)}")
    return tuple(notes)
