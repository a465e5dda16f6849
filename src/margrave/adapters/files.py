"""Case files: accounts, a market and the name of their rules, in TOML or JSON. One documented schema.

Form is checked first (the decoder stops at the first fault), then meaning (all faults together). Whatever is
wrong is an `Issue` that says where, what and what to do.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, final

import msgspec

from margrave.adapters.forms import (
    VOL_PLAUSIBLE,
    AccountForm,
    CaseForm,
    InstrumentForm,
    MarketForm,
    QuoteForm,
)
from margrave.adapters.instrument_forms import instrument_form
from margrave.core.errors import InvalidInputError, Issue, Reason, invalid
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Leg, Memory, Order, Position
from margrave.domain.instruments import (
    CoinPremium,
    Future,
    Instrument,
    Inverse,
    Kind,
    Linear,
    Option,
    Payoff,
    Perpetual,
    Quanto,
    QuotePremium,
    Right,
    Spot,
)
from margrave.domain.market import Market, Quote

SCHEMA_VERSION = 1
T = TypeVar("T")
_QUOTED = ("index", "forward", "vol", "settlement", "at", "rate", "averaged", "confidence")
_MARKET_TABLES = (
    *("index", "vols", "correlations", "returns", "open_interest", "confidence"),
    *("slow", "deposits", "borrows"),
)


@final
@dataclass(frozen=True, slots=True)
class Case:
    """What a case file says."""

    accounts: tuple[Account, ...]
    market: Market
    rules: str | None = None  # id of a rulebook
    schedule: str | None = None  # directional schedule put on it
    title: str = ""


def load_case(path: Path | str) -> Case:
    """Read a case from a file; JSON by its ending, TOML otherwise.

    Raises
    ------
    InvalidInputError
        With every fault that could be found.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise invalid(
            str(path), Reason.NOT_FOUND, f"cannot be read ({fault}); check the name and that it is text"
        ) from fault
    return parse_case(text, str(path), is_json=path.suffix == ".json" or text.lstrip().startswith("{"))


def parse_case(text: str, where: str, *, is_json: bool = False) -> Case:
    """Read a case from text. ``where`` names it in messages."""
    try:
        tree = json.loads(text) if is_json else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as fault:
        kind = "JSON" if is_json else "TOML"
        raise invalid(where, Reason.MALFORMED, f"not valid {kind} ({fault}); mend the line named") from fault
    try:
        form = msgspec.convert(tree, type=CaseForm, strict=False)
    except msgspec.ValidationError as fault:
        reason = Reason.UNKNOWN_FIELD if "unknown field" in str(fault) else Reason.INVALID_VALUE
        raise invalid(where, reason, f"{fault}; docs/file-schema.md lists what a case may say") from fault
    return _Reader(where).case(form)


@final
class _Reader:
    """Turns a form into a case and collects what is wrong with it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.issues: list[Issue] = []

    def case(self, form: CaseForm) -> Case:
        if form.schema != SCHEMA_VERSION:
            self.fault(
                "schema", Reason.INVALID_VALUE, f"is {form.schema}; this Margrave reads {SCHEMA_VERSION}"
            )
        market = self.market(form.market)
        accounts = tuple(
            a
            for k, account in enumerate(form.accounts)
            if (a := self.account(account, f"accounts[{k}]")) is not None
        )
        names = [a.name for a in form.accounts]
        for name in dict.fromkeys(n for n in names if names.count(n) > 1):
            self.fault(
                "accounts",
                Reason.DUPLICATE,
                f"{name!r} is the name of {names.count(name)} accounts; name each differently",
            )
        if market is not None:
            self.known(form, {row.symbol for row in form.market.instruments})
        if self.issues or market is None:
            raise InvalidInputError(self.issues)
        return Case(accounts, market, form.rules, form.schedule, form.title)

    def fault(self, path: str, reason: Reason, message: str) -> None:
        self.issues.append(Issue(f"{self.where}: {path}", reason, message))

    def built(self, path: str, build: Callable[[], T], reason: Reason = Reason.INVALID_VALUE) -> T | None:
        try:
            return build()
        except ValueError as fault:
            self.fault(path, reason, f"{fault}; correct it")
            return None

    def known(self, form: CaseForm, symbols: set[str]) -> None:
        for a, account in enumerate(form.accounts):
            named: dict[str, list[str]] = {
                "positions": [p.symbol for p in account.positions],
                "orders": [o.symbol for o in account.orders],
            }
            for name, rows in named.items():
                for k, symbol in enumerate(rows):
                    if symbol not in symbols:
                        place = f"accounts[{a}].{name}[{k}].symbol"
                        self.fault(
                            place,
                            Reason.UNKNOWN_INSTRUMENT,
                            f"{symbol!r} is not among market.instruments ({', '.join(sorted(symbols)[:6])}); add its terms or correct the name",
                        )

    def market(self, form: MarketForm) -> Market | None:
        instruments = self.instruments(form)
        quotes = self.quotes(form)
        pairs = {tuple(name.split("/")): value for name, value in form.correlations.items()}

        def build() -> Market:
            return Market(
                at=form.at,
                instruments=instruments,
                quotes=quotes,
                index=form.index,
                vols=form.vols,
                correlations={(k[0], k[-1]): v for k, v in pairs.items()},
                returns=form.returns,
                open_interest=form.open_interest,
                confidence=form.confidence,
                slow=form.slow,
                deposits=form.deposits,
                borrows=form.borrows,
                numeraire=form.numeraire,
            )

        for symbol in form.open_interest:
            if symbol not in {row.symbol for row in form.instruments}:
                message = f"{symbol!r} is not among market.instruments; add its terms or correct the name"
                self.fault(f"market.open_interest.{symbol}", Reason.UNKNOWN_INSTRUMENT, message)
        for name, vol in form.vols.items():
            if vol > VOL_PLAUSIBLE:
                self.fault(
                    f"market.vols.{name}",
                    Reason.WRONG_UNIT,
                    f"is {vol:g}, a vol of {vol:.0%} a year; write 65 % as 0.65",
                )
        return self.built("market", build)

    def instruments(self, form: MarketForm) -> dict[str, Instrument]:
        read: dict[str, Instrument] = {}
        self.twice([row.symbol for row in form.instruments], "market.instruments", "keep one")
        for k, row in enumerate(form.instruments):
            instrument = self.instrument(row, f"market.instruments[{k}]")
            if instrument is not None:
                read[row.symbol] = instrument
        return read

    def quotes(self, form: MarketForm) -> dict[str, Quote]:
        read: dict[str, Quote] = {}
        listed = {row.symbol for row in form.instruments}
        self.twice([quote.symbol for quote in form.quotes], "market.quotes", "keep one")
        for k, quote in enumerate(form.quotes):
            path = f"market.quotes[{k}]"
            if quote.symbol not in listed:
                self.fault(
                    path,
                    Reason.UNKNOWN_INSTRUMENT,
                    f"{quote.symbol!r} is not among market.instruments; add its terms or correct the name",
                )
            found = self.quote(quote, path)
            if found is not None:
                read[quote.symbol] = found
        return read

    def quote(self, form: QuoteForm, path: str) -> Quote | None:
        mark = form.mark
        if mark is None:
            self.fault(
                f"{path}.mark",
                Reason.MISSING_MARK,
                f"{form.symbol!r} has no mark; add it, or leave the quote out",
            )
            return None
        if form.vol is not None and form.vol > VOL_PLAUSIBLE:
            self.fault(
                f"{path}.vol",
                Reason.WRONG_UNIT,
                f"is {form.vol:g}, a vol of {form.vol:.0%} a year; write 65 % as 0.65",
            )
            return None
        return self.built(
            path,
            lambda: Quote(mark=mark, **{name: getattr(form, name) for name in _QUOTED}),
        )

    def instrument(self, form: InstrumentForm, path: str) -> Instrument | None:
        kind, payoff = self.kind(form, path), self.payoff(form, path)
        if kind is None or payoff is None:
            return None
        return self.built(
            path,
            lambda: Instrument(
                symbol=form.symbol,
                base=form.base,
                quote=form.quote,
                settlement=form.settlement,
                kind=kind,
                payoff=payoff,
                tick=form.tick,
                taker_fee=form.taker_fee,
            ),
        )

    def kind(self, form: InstrumentForm, path: str) -> Kind | None:
        wants = {"future": ("expiry",), "option": ("expiry", "strike", "right")}.get(form.kind, ())
        if not self.has(form, path, wants, ("expiry", "strike", "right"), f"a {form.kind}"):
            return None
        expiry, strike, right = form.expiry, form.strike, form.right
        if form.kind == "option":
            assert expiry is not None
            assert strike is not None
            assert right is not None
            return self.built(path, lambda: Option(expiry=expiry, strike=strike, right=Right(right)))
        if form.kind == "future":
            assert expiry is not None
            return self.built(path, lambda: Future(expiry=expiry))
        return Spot() if form.kind == "spot" else Perpetual()

    def payoff(self, form: InstrumentForm, path: str) -> Payoff | None:
        unit = {"inverse": "contract_value", "quanto": "multiplier"}.get(form.payoff, "contract_size")
        if not self.has(
            form,
            path,
            (unit,),
            ("contract_size", "contract_value", "multiplier"),
            f"an instrument with {form.payoff} payoff",
        ):
            return None
        made: dict[str, Callable[[Any], Payoff]] = {
            "linear": lambda n: Linear(contract_size=n),
            "inverse": lambda n: Inverse(contract_value=n),
            "quanto": lambda n: Quanto(multiplier=n),
            "coin-premium": lambda n: CoinPremium(contract_size=n),
            "quote-premium": lambda n: QuotePremium(contract_size=n),
        }
        return self.built(f"{path}.{unit}", lambda: made[form.payoff](getattr(form, unit)))

    def has(
        self, form: InstrumentForm, path: str, wants: tuple[str, ...], fields: tuple[str, ...], what: str
    ) -> bool:
        fine = True
        for name in fields:
            given = getattr(form, name) is not None
            if name in wants and not given:
                self.fault(
                    f"{path}.{name}", Reason.INVALID_VALUE, f"is missing; {what} ({form.symbol}) needs it"
                )
                fine = False
            if given and name not in wants:
                self.fault(
                    f"{path}.{name}",
                    Reason.WRONG_UNIT,
                    f"does not belong to {what} ({form.symbol}); remove it"
                    + (f" and give {wants[0]}" if wants else ""),
                )
                fine = False
        return fine

    def account(self, form: AccountForm, path: str) -> Account | None:
        balances = self.rows(
            form.balances,
            f"{path}.balances",
            lambda f: Balance(asset=f.asset, amount=f.amount, locked=f.locked),
        )
        positions = self.rows(
            form.positions,
            f"{path}.positions",
            lambda f: Position(
                symbol=f.symbol,
                quantity=f.quantity,
                entry=f.entry,
                mode=MarginMode(f.mode),
                leverage=f.leverage,
                isolated_margin=f.isolated_margin,
                leg=Leg(f.leg),
            ),
        )
        orders = self.rows(
            form.orders,
            f"{path}.orders",
            lambda f: Order(
                symbol=f.symbol,
                quantity=f.quantity,
                price=f.price,
                reduce_only=f.reduce_only,
                leverage=f.leverage,
            ),
        )
        memory = self.rows(form.memory, f"{path}.memory", lambda f: Memory(**msgspec.structs.asdict(f)))
        self.twice([f.asset for f in form.balances], f"{path}.balances", "add the amounts up")
        self.twice(
            [f"{f.symbol} ({f.leg}, {f.mode})" for f in form.positions],
            f"{path}.positions",
            "net them, or use hedge legs",
        )
        if any(i.where.startswith(f"{self.where}: {path}") for i in self.issues):
            return None
        return self.built(
            path,
            lambda: Account(
                name=form.name,
                balances=balances,
                positions=positions,
                orders=orders,
                memory=memory,
                parent=form.parent,
            ),
        )

    def twice(self, names: list[str], path: str, remedy: str) -> None:
        if len(set(names)) == len(names):
            return
        for name in dict.fromkeys(n for n in names if names.count(n) > 1):
            self.fault(path, Reason.DUPLICATE, f"{name} is there {names.count(name)} times; {remedy}")

    def rows(self, forms: list[Any], path: str, build: Callable[[Any], T]) -> tuple[T, ...]:
        made = (self.built(f"{path}[{k}]", lambda form=form: build(form)) for k, form in enumerate(forms))  # type: ignore[misc]
        return tuple(row for row in made if row is not None)


def read_account(form: AccountForm, where: str) -> Account:
    """An account of its form; faults, which name it ``where``, are raised together as `InvalidInputError`."""
    reader = _Reader(where)
    account = reader.account(form, "account")
    if account is None:
        raise InvalidInputError(reader.issues)
    return account


def example_names() -> tuple[str, ...]:
    """Names of the cases that ship, all made."""
    folder = resources.files("margrave.adapters") / "examples"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load_example(name: str) -> Case:
    """A case that ships with Margrave; it is made, and says so."""
    if name not in example_names():
        raise invalid(
            name, Reason.NOT_FOUND, f"no example has this name; there are {', '.join(example_names())}"
        )
    file = resources.files("margrave.adapters") / "examples" / f"{name}.toml"
    return parse_case(file.read_text(encoding="utf-8"), f"example {name}")


# --- writing ---


def case_form(case: Case) -> CaseForm:
    """Form of a case: what its file says."""
    market = MarketForm(
        at=case.market.at,
        instruments=[instrument_form(i) for i in case.market.instruments.values()],
        quotes=[
            QuoteForm(symbol=s, mark=q.mark, **{name: getattr(q, name) for name in _QUOTED})
            for s, q in case.market.quotes.items()
        ],
        index=dict(case.market.index),
        vols=dict(case.market.vols),
        correlations={"/".join(k): v for k, v in case.market.correlations.items()},
        returns=dict(case.market.returns),
        open_interest=dict(case.market.open_interest),
        confidence=dict(case.market.confidence),
        slow=dict(case.market.slow),
        deposits=dict(case.market.deposits),
        borrows=dict(case.market.borrows),
        numeraire=case.market.numeraire,
    )
    accounts = [msgspec.convert(_fields(a), type=AccountForm) for a in case.accounts]
    return CaseForm(
        schema=SCHEMA_VERSION,
        market=market,
        title=case.title,
        rules=case.rules,
        schedule=case.schedule,
        accounts=accounts,
    )


def instrument_from(form: InstrumentForm, where: str) -> Instrument:
    """Contract terms from their form.

    Raises
    ------
    InvalidInputError
        Naming every field that is wrong.
    """
    reader = _Reader(where)
    instrument = reader.instrument(form, "instrument")
    if instrument is None:
        raise InvalidInputError(reader.issues)
    return instrument


def _fields(account: Account) -> Any:
    return msgspec.to_builtins(account, builtin_types=(datetime,))


def dump_case(case: Case) -> str:
    """TOML of a case; reading it gives the case again."""
    tree = msgspec.to_builtins(case_form(case), builtin_types=(datetime,))
    market, accounts = tree.pop("market"), tree.pop("accounts", [])
    lines = [f"{key} = {_scalar(value)}" for key, value in tree.items()]
    tables = {k: market.pop(k) for k in _MARKET_TABLES if k in market}
    rows = {k: market.pop(k) for k in ("instruments", "quotes") if k in market}
    lines += ["", "[market]", *(f"{k} = {_scalar(v)}" for k, v in market.items())]
    for name, table in tables.items():
        lines += ["", f"[market.{name}]", *(f"{_scalar(k)} = {_scalar(v)}" for k, v in table.items())]
    for name, items in rows.items():
        lines += _tables(f"market.{name}", items)
    for account in accounts:
        nested = {k: account.pop(k) for k in ("balances", "positions", "orders", "memory") if k in account}
        lines += _tables("accounts", [account])
        for name, items in nested.items():
            lines += _tables(f"accounts.{name}", items)
    return "\n".join(lines) + "\n"


def _tables(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield from ("", f"[[{name}]]", *(f"{k} = {_scalar(v)}" for k, v in row.items() if v is not None))


def _scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        repr(value)
        if isinstance(value, int | float)
        else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    )
