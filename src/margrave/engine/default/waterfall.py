"""Who bears a default, in order: collateral, liquidation, insurance fund, deleveraging, nobody (spec CMS-5).

All pools are liquidated first. What then has no equity is taken over: the fund pays as much of the close-out in
the market as it can, winners on the other side are closed against the rest at the price that leaves nothing, and
what is left has a name. Every movement of cash is a transfer of a ledger of integers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from margrave.core.errors import Reason, invalid, refused
from margrave.core.rounding import in_units
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Position
from margrave.domain.checks import require
from margrave.domain.fills import notional
from margrave.domain.instruments import payoff_asset
from margrave.domain.market import Market
from margrave.engine.changes import with_cash
from margrave.engine.default.closing import Closing, LiquidationRule, cash_of, closing, conversion
from margrave.engine.default.deleveraging import Deleveraged, deleveraged, eligible, takeover_price, winners
from margrave.engine.default.ledger import CLEARING, FUND, UNCOVERED, VENUE, Ledger, Stage, Transfer
from margrave.engine.default.unwind import Outcome, PoolUnwinding, Unwinding, unwind
from margrave.rulebook.schema import CrossPool, Rulebook


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """How the venue liquidates, and what stands behind it."""

    rule: LiquidationRule = field(default_factory=LiquidationRule)
    fund: Mapping[str, float] = field(default_factory=dict)  # [asset] insurance fund, >= 0
    unit: float = 1e-8  # [asset] smallest amount that the ledger books

    def __post_init__(self) -> None:
        require(0 < self.unit <= 1, "unit", self.unit, "above zero and at most one")
        for asset, amount in self.fund.items():
            require(0 <= amount < float("inf"), f"fund.{asset}", amount, "zero or more")


@final
@dataclass(frozen=True, slots=True)
class Uncovered:
    """A loss that nobody bore: to be socialised by whatever rule the venue has."""

    account: str
    pool: str
    asset: str
    amount: float  # [asset], > 0


@final
@dataclass(frozen=True, slots=True)
class Waterfall:
    """Accounts after the default of some, and who paid."""

    accounts: tuple[Account, ...]
    unwindings: tuple[Unwinding, ...]
    takeovers: tuple[Closing, ...]  # closed in the market after equity was gone
    deleveraged: tuple[Deleveraged, ...]
    uncovered: tuple[Uncovered, ...]
    ledger: Ledger


@final
@dataclass(slots=True)
class _Run:
    """What the stages fold over; a builder that only `waterfall` sees."""

    market: Market
    rulebook: Rulebook
    terms: Terms
    accounts: dict[str, Account]
    held: dict[tuple[str, str], int]  # (party, asset) -> units, now
    debtors: frozenset[str] = frozenset()
    transfers: list[Transfer] = field(default_factory=list)
    takeovers: list[Closing] = field(default_factory=list)
    deleveraged: list[Deleveraged] = field(default_factory=list)
    uncovered: list[Uncovered] = field(default_factory=list)

    def balance(self, who: str, asset: str) -> int:
        return self.held.get((who, asset), 0)

    def units(self, amount: float) -> int:
        return in_units(amount, self.terms.unit)

    def pay(self, stage: Stage, asset: str, parties: tuple[str, str], units: int, why: str) -> None:
        if units < 0:
            units, parties = -units, (parties[1], parties[0])
        if units:
            self.transfers.append(Transfer(stage, asset, *parties, units, why))
            for who, change in zip(parties, (-units, units), strict=True):
                self.held[who, asset] = self.held.get((who, asset), 0) + change


@final
@dataclass(frozen=True, slots=True)
class _Debtor:
    """A pool without equity."""

    account: str
    pool: PoolUnwinding

    @property
    def party(self) -> str:
        return party(self.account, self.pool.pool)


def party(account: str, pool: str) -> str:
    """Name of a pool in the ledger."""
    return f"{account}: {pool}"


def waterfall(accounts: Sequence[Account], market: Market, rulebook: Rulebook, terms: Terms) -> Waterfall:
    """Liquidate a venue's accounts and settle what they cannot pay.

    Parameters
    ----------
    accounts, market, rulebook : sequence of Account, Market, Rulebook
        Every account that may default or be deleveraged; names are unique.
    terms : Terms
        Rule, insurance fund and smallest unit. The rule's floor is zero here: equity gone is takeover.

    Returns
    -------
    Waterfall
        The ledger's total of each asset never changes; a pool that was taken over ends at zero units.

    Raises
    ------
    InvalidInputError
        Two accounts have one name.
    RefusedError
        A pool of several assets has no equity: who converts its collateral, and when, has no rule here. Or an
        account holds both legs of one instrument isolated, which the ledger cannot tell apart.
    """
    if len({a.name for a in accounts}) != len(accounts):
        raise invalid("accounts", Reason.DUPLICATE, "two have one name; the ledger needs each its own")
    rule = replace(terms.rule, floor=0.0)
    done = tuple(unwind(a, market, rulebook, rule) for a in accounts)
    _require_one_pool_a_name(accounts, done)
    after = {told.account.name: told.account for told in done}
    opening = _opening(accounts, done, rulebook, terms)
    run = _Run(market, rulebook, terms, after, dict(opening))
    debtors = []
    for account, told in zip(accounts, done, strict=True):
        for pool in told.pools:
            _post_liquidation(run, account.name, pool)
            if pool.outcome is Outcome.BANKRUPT or pool.deficit > 0.0:
                debtors.append(_Debtor(account.name, pool))
    run.debtors = frozenset(d.party for d in debtors)
    for debtor in debtors:
        _take_over(run, debtor)
    return Waterfall(
        tuple(run.accounts.values()),
        done,
        tuple(run.takeovers),
        tuple(run.deleveraged),
        tuple(run.uncovered),
        Ledger(opening, tuple(run.transfers)),
    )


def _require_one_pool_a_name(accounts: Sequence[Account], done: Sequence[Unwinding]) -> None:
    for account, told in zip(accounts, done, strict=True):
        names = [pool.pool for pool in told.pools]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            message = "is there twice, long and short; put the legs into accounts of their own"
            raise refused(party(account.name, twice), Reason.UNSUPPORTED, message)


def _opening(
    accounts: Sequence[Account], done: Sequence[Unwinding], rulebook: Rulebook, terms: Terms
) -> dict[tuple[str, str], int]:
    held = {(FUND, asset): in_units(amount, terms.unit) for asset, amount in terms.fund.items()}
    spans = rulebook.account.cross_pool is CrossPool.ACCOUNT
    for account, told in zip(accounts, done, strict=True):
        for pool in told.pools:
            own, paid = party(account.name, pool.pool), sum(f.cash for s in pool.steps for f in s.fills)
            if pool.mode is MarginMode.ISOLATED:
                held[own, pool.currency] = in_units(pool.cash - paid, terms.unit)
                continue
            for balance in account.balances:
                if spans or balance.asset == pool.currency:
                    held[own, balance.asset] = in_units(balance.amount, terms.unit)
    return held


def _post_liquidation(run: _Run, account: str, pool: PoolUnwinding) -> None:
    own = party(account, pool.pool)
    for step in pool.steps:
        for made in step.fills:
            told = f"{made.quantity:.10g} {made.symbol} at {made.price:.10g}"
            asset = made.currency
            run.pay(Stage.LIQUIDATION, asset, (CLEARING, own), run.units(made.realised), told)
            run.pay(Stage.LIQUIDATION, asset, (own, VENUE), run.units(made.fee), f"fee of {told}")
            run.pay(Stage.LIQUIDATION, asset, (own, FUND), run.units(made.penalty), f"penalty of {told}")
    if pool.mode is MarginMode.ISOLATED and pool.outcome is Outcome.CLOSED and pool.cash > 0:
        left = run.balance(own, pool.currency)
        wallet = party(account, f"cross {pool.currency}")
        run.pay(Stage.LIQUIDATION, pool.currency, (own, wallet), left, "what is left of isolated margin")


def _take_over(run: _Run, debtor: _Debtor) -> None:
    pool, asset = debtor.pool, debtor.pool.currency
    if pool.mode is MarginMode.CROSS and run.rulebook.account.cross_pool is CrossPool.ACCOUNT:
        raise refused(
            debtor.party, Reason.UNSUPPORTED, "has several assets and no equity; settle its assets one by one"
        )
    cash = run.balance(debtor.party, asset) * run.terms.unit
    whole = sum(_market(run, p, -p.quantity).realised for p in pool.positions)
    fund = run.balance(FUND, asset)
    deficit = max(-run.units(cash + whole), 0)
    share = 1.0 if deficit <= fund else fund / deficit
    for position in pool.positions if share > 0.0 else ():
        _close(run, debtor, Stage.FUND, _market(run, position, -position.quantity * share))
    owed = min(max(-run.balance(debtor.party, asset), 0) if share == 1.0 else fund, fund)
    run.pay(Stage.FUND, asset, (FUND, debtor.party), owed, "the fund pays what collateral does not")
    rest = tuple(replace(p, quantity=p.quantity * (1.0 - share)) for p in pool.positions) if share < 1 else ()
    _settle(run, debtor, _deleverage(run, debtor, rest))


def _market(run: _Run, position: Position, quantity: float) -> Closing:
    # Nothing is there to pay a fee from.
    return closing(run.terms.rule, run.market, position, quantity, 0.0)


def _close(run: _Run, debtor: _Debtor, stage: Stage, made: Closing) -> None:
    run.takeovers.append(made)
    why = f"taken over: {made.quantity:.10g} {made.symbol} at {made.price:.10g}"
    run.pay(stage, made.currency, (CLEARING, debtor.party), run.units(made.realised), why)


def _deleverage(run: _Run, debtor: _Debtor, rest: Sequence[Position]) -> list[Position]:
    """Close the rest against winners; what finds none comes back."""
    market, asset = run.market, debtor.pool.currency
    if not rest:
        return []
    equity = run.balance(debtor.party, asset) * run.terms.unit
    sizes = []
    for p in rest:
        instrument, mark = market.instruments[p.symbol], market.quotes[p.symbol].mark
        equity += cash_of(instrument, market, p, -p.quantity, mark)
        rate = conversion(market, payoff_asset(instrument), asset)
        sizes.append(notional(instrument.payoff, p.quantity, mark) * rate)
    left = []
    for position, size in zip(rest, sizes, strict=True):
        quantity = _matched(run, debtor, position, equity * size / sum(sizes))
        if quantity != 0.0:
            left.append(replace(position, quantity=quantity))
    return left


def _matched(run: _Run, debtor: _Debtor, position: Position, equity: float) -> float:
    """Contracts that no winner takes at the takeover price."""
    market, symbol = run.market, position.symbol
    instrument, mark = market.instruments[symbol], market.quotes[symbol].mark
    price = takeover_price(instrument, market, mark, position.quantity, equity)
    left = position.quantity
    if price is None:
        return left
    found = winners(run.accounts, market, run.rulebook, symbol, left)
    solvent = [w for w in found if party(w.account, w.pool) not in run.debtors]
    for winner in eligible(solvent, instrument, price):
        if left == 0.0:
            break
        size = min(abs(left), abs(winner.position.quantity))
        quantity = size if left > 0 else -size
        run.accounts[winner.account], made = deleveraged(
            run.accounts[winner.account], winner, market, run.rulebook, quantity, price
        )
        run.deleveraged.append(made)
        realised = cash_of(instrument, market, position, -quantity, price)
        own, other, asset = debtor.party, party(made.account, made.pool), instrument.settlement
        why = f"{quantity:.10g} {symbol} at {price:.10g} against {made.account}"
        run.pay(Stage.DELEVERAGING, asset, (CLEARING, own), run.units(realised), why)
        run.pay(Stage.DELEVERAGING, asset, (CLEARING, other), run.units(made.realised), f"deleveraged: {why}")
        wallet = party(made.account, f"cross {asset}")
        if other != wallet:  # profit and the margin of what was closed leave an isolated pool
            freed = run.units(made.realised) + run.units(made.freed)
            run.pay(Stage.DELEVERAGING, asset, (other, wallet), freed, "isolated profit and margin freed")
        left -= quantity
    return left


def _settle(run: _Run, debtor: _Debtor, left: Sequence[Position]) -> None:
    """Close in the market what no winner took, name the loss, and bring the pool to zero."""
    asset, own = debtor.pool.currency, debtor.party
    for position in left:
        _close(run, debtor, Stage.UNCOVERED, _market(run, position, -position.quantity))
    balance = run.balance(own, asset)
    postings = sum(own in (t.payer, t.receiver) for t in run.transfers)
    if balance < 0 and -balance > postings + 1:
        run.pay(Stage.UNCOVERED, asset, (UNCOVERED, own), -balance, "nobody pays this")
        amount = -balance * run.terms.unit
        run.uncovered.append(Uncovered(debtor.account, debtor.pool.pool, asset, amount))
    elif 0 != abs(balance) <= postings + 1:
        run.pay(Stage.UNCOVERED, asset, (own, CLEARING), balance, f"rounding of {postings} transfers")
    elif debtor.pool.mode is MarginMode.ISOLATED:
        wallet = party(debtor.account, f"cross {asset}")
        run.pay(Stage.FUND, asset, (own, wallet), balance, "what is left of isolated margin")
        run.accounts[debtor.account] = with_cash(
            run.accounts[debtor.account], asset, balance * run.terms.unit
        )
    _clear(run, debtor, run.balance(own, asset) * run.terms.unit)


def _clear(run: _Run, debtor: _Debtor, cash: float) -> None:
    """The account without what was taken over."""
    account, pool = run.accounts[debtor.account], debtor.pool
    gone = {(p.symbol, p.leg, p.mode) for p in pool.positions}
    kept = tuple(p for p in account.positions if (p.symbol, p.leg, p.mode) not in gone)
    balances = account.balances
    if pool.mode is MarginMode.CROSS:
        balances = tuple(replace(b, amount=cash) if b.asset == pool.currency else b for b in balances)
    run.accounts[debtor.account] = replace(account, positions=kept, balances=balances)
