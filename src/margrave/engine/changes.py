"""Changes that a holder asks for, each checked and atomic: the account after, or a refusal with its reason.

Adding and removing isolated margin, changing leverage, switching mode, and transfers (spec IMM-2, IMM-6,
IMM-7, CMS-4). A refused change leaves the account as it was: accounts are values.
"""

from dataclasses import replace

from margrave.core.errors import Reason, refused
from margrave.core.words import MarginMode
from margrave.domain.account import Account, Balance, Position
from margrave.domain.fills import fill
from margrave.domain.instruments import Instrument
from margrave.domain.market import Market
from margrave.engine.assess import assess
from margrave.engine.assessment import PoolAssessment, Status
from margrave.engine.default.closing import cash_of
from margrave.rulebook.schema import Rulebook


def _position(account: Account, symbol: str, mode: MarginMode | None = None) -> Position:
    found = [p for p in account.positions if p.symbol == symbol and (mode is None or p.mode is mode)]
    if not found:
        kind = "" if mode is None else f"{mode} "
        raise refused(
            f"{account.name}: {symbol}", Reason.NOT_FOUND, f"there is no {kind}position in it; open one first"
        )
    return found[0]


def _instrument(market: Market, account: Account, symbol: str) -> Instrument:
    instrument = market.instruments.get(symbol)
    if instrument is None:
        raise refused(
            f"{account.name}: {symbol}",
            Reason.UNKNOWN_INSTRUMENT,
            "is not among the market's instruments; add its terms",
        )
    return instrument


def _with_position(account: Account, before: Position, after: Position) -> Account:
    return replace(account, positions=tuple(after if p is before else p for p in account.positions))


def with_cash(account: Account, asset: str, change: float) -> Account:
    """The account with a balance changed; a debt is a balance below zero."""
    held = {b.asset: b for b in account.balances}
    balance = held.get(asset, Balance(asset=asset, amount=0.0))
    held[asset] = replace(balance, amount=balance.amount + change)
    return replace(account, balances=tuple(held.values()))


def _isolated_pool(account: Account, market: Market, rulebook: Rulebook, symbol: str) -> PoolAssessment:
    return next(p for p in assess(account, market, rulebook).pools if p.name == f"isolated {symbol}")


def _require_safe(
    account: Account, market: Market, rulebook: Rulebook, what: str, levels: dict[str, Status]
) -> Account:
    """Return the account if no pool is worse than it was and none would be called; refuse otherwise."""
    for pool in assess(account, market, rulebook).pools:
        was = levels.get(pool.name, Status.HEALTHY)
        order = list(Status)
        if (
            pool.status is not Status.HEALTHY
            and order.index(pool.status) >= order.index(was)
            and (pool.status is not was or was is not Status.CALL)
        ):
            need = pool.initial - pool.margin_balance
            raise refused(
                f"{account.name}: {pool.name}",
                Reason.INSUFFICIENT,
                f"{what} would leave it {pool.status}, {need:.10g} {pool.currency} below its initial margin; add that much first",
            )
    return account


def _levels(account: Account, market: Market, rulebook: Rulebook) -> dict[str, Status]:
    return {p.name: p.status for p in assess(account, market, rulebook).pools}


def add_margin(account: Account, market: Market, rulebook: Rulebook, symbol: str, amount: float) -> Account:
    """Move margin from the wallet to an isolated position.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        As they stand.
    symbol : str
        An isolated position.
    amount : float
        What moves [settlement asset], > 0.

    Raises
    ------
    RefusedError
        The wallet has not so much to give without falling below its own initial margin.
    """
    if not 0 < amount < float("inf"):
        raise refused(
            f"{account.name}: {symbol}", Reason.INVALID_VALUE, f"amount is {amount!r}; it must be above zero"
        )
    position = _position(account, symbol, MarginMode.ISOLATED)
    settlement = _instrument(market, account, symbol).settlement
    allotted = _allotted(account, market, rulebook, position)
    wallet = sum(b.amount - b.locked for b in account.balances if b.asset == settlement)
    if amount > wallet:
        raise refused(
            f"{account.name}: {settlement}",
            Reason.INSUFFICIENT,
            f"wallet has {wallet:.10g} free and {amount:.10g} is to move; move less",
        )
    after = _with_position(account, position, replace(position, isolated_margin=allotted + amount))
    return _require_safe(
        with_cash(after, settlement, -amount),
        market,
        rulebook,
        "adding margin",
        _levels(account, market, rulebook),
    )


def _allotted(account: Account, market: Market, rulebook: Rulebook, position: Position) -> float:
    if position.isolated_margin is not None:
        return position.isolated_margin
    pool = _isolated_pool(account, market, rulebook, position.symbol)
    return pool.equity - sum(p.profit for p in pool.positions)


def open_position(account: Account, market: Market, rulebook: Rulebook, position: Position) -> Account:
    """Open a position at its entry price; an isolated one debits the wallet by its margin at once (IMM-3).

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        As they stand.
    position : Position
        What is opened; an isolated margin that is not stated is the initial margin at entry.

    Raises
    ------
    RefusedError
        The account holds such a position already, or what it has does not suffice: the whole order is rejected.
    """
    where = f"{account.name}: {position.symbol}"
    held = [(p.symbol, p.leg, p.mode) for p in account.positions]
    if (position.symbol, position.leg, position.mode) in held:
        raise refused(where, Reason.DUPLICATE, "is open already; fill it instead")
    settlement = _instrument(market, account, position.symbol).settlement
    levels = _levels(account, market, rulebook)
    opened = replace(account, positions=(*account.positions, position))
    if position.mode is MarginMode.CROSS:
        return _require_safe(opened, market, rulebook, "opening it", levels)
    allotted = _allotted(opened, market, rulebook, position)
    free = sum(b.amount - b.locked for b in account.balances if b.asset == settlement)
    if allotted > free:
        raise refused(
            where,
            Reason.INSUFFICIENT,
            f"wallet has {free:.10g} {settlement} free and {allotted:.10g} is needed; open less",
        )
    stated = _with_position(opened, position, replace(position, isolated_margin=allotted))
    return _require_safe(with_cash(stated, settlement, -allotted), market, rulebook, "opening it", levels)


def top_up(
    account: Account, market: Market, rulebook: Rulebook, symbol: str, cap: float
) -> tuple[Account, float]:
    """Pay an isolated position up to its initial margin out of the wallet, at most ``cap``.

    Parameters
    ----------
    account, market, rulebook : Account, Market, Rulebook
        As they stand.
    symbol : str
        An isolated position.
    cap : float
        Most that may move [settlement asset], > 0.

    Returns
    -------
    account, moved : Account, float
        The account after, and what moved: zero where nothing is called or the wallet is empty (spec IM-2). To be
        called on each mark by whoever wants it; nothing tops up by itself.
    """
    position = _position(account, symbol, MarginMode.ISOLATED)
    settlement = _instrument(market, account, symbol).settlement
    free = sum(b.amount - b.locked for b in account.balances if b.asset == settlement)
    moved = min(_isolated_pool(account, market, rulebook, symbol).call, cap, max(free, 0.0))
    if not moved > 0:
        return account, 0.0
    allotted = _allotted(account, market, rulebook, position)
    after = _with_position(account, position, replace(position, isolated_margin=allotted + moved))
    return with_cash(after, settlement, -moved), moved


def remove_margin(
    account: Account, market: Market, rulebook: Rulebook, symbol: str, amount: float, buffer: float = 0.0
) -> Account:
    """Move margin from an isolated position back to the wallet.

    Allowed down to the larger of initial margin and maintenance margin plus ``buffer`` at the mark (IMM-2);
    profit that is not realised cannot be taken out.
    """
    if not 0 < amount < float("inf"):
        raise refused(
            f"{account.name}: {symbol}", Reason.INVALID_VALUE, f"amount is {amount!r}; it must be above zero"
        )
    position = _position(account, symbol, MarginMode.ISOLATED)
    settlement = _instrument(market, account, symbol).settlement
    allotted = _allotted(account, market, rulebook, position)
    pool = _isolated_pool(account, market, rulebook, symbol)
    if pool.status is Status.UNKNOWN:
        raise refused(
            f"{account.name}: {pool.name}",
            Reason.MISSING_MARK,
            "cannot be valued, so nothing may leave it; mend the market first",
        )
    needed = max(pool.initial, pool.maintenance + buffer)
    removable = min(pool.margin_balance - needed, allotted)
    # The last digit of a sum is no reason to refuse what the message itself would allow.
    if amount > removable * (1.0 + 1e-12):
        raise refused(
            f"{account.name}: {symbol}",
            Reason.INSUFFICIENT,
            f"{max(removable, 0.0):.10g} {settlement} may leave and {amount:.10g} is asked; remove less",
        )
    after = _with_position(account, position, replace(position, isolated_margin=allotted - amount))
    return with_cash(after, settlement, amount)


def change_leverage(
    account: Account, market: Market, rulebook: Rulebook, symbol: str, leverage: float
) -> Account:
    """Choose another leverage for a position.

    An isolated position's margin becomes what the new leverage asks at its entry, the difference moving from or
    to the wallet; refused where that leaves any pool short of its initial margin (IMM-7).
    """
    if not 0 < leverage <= 1e6:
        raise refused(
            f"{account.name}: {symbol}",
            Reason.INVALID_VALUE,
            f"leverage is {leverage!r}; it must be above zero",
        )
    position = _position(account, symbol)
    levels = _levels(account, market, rulebook)
    changed = replace(position, leverage=leverage)
    if position.mode is MarginMode.CROSS:
        return _require_safe(
            _with_position(account, position, changed), market, rulebook, "the new leverage", levels
        )
    settlement = _instrument(market, account, symbol).settlement
    before = _allotted(account, market, rulebook, position)
    fresh = replace(changed, isolated_margin=None)
    after = _allotted(_with_position(account, position, fresh), market, rulebook, fresh)
    wallet = sum(b.amount - b.locked for b in account.balances if b.asset == settlement)
    if after - before > wallet:
        raise refused(
            f"{account.name}: {settlement}",
            Reason.INSUFFICIENT,
            f"wallet has {wallet:.10g} free and {after - before:.10g} is needed; choose a higher leverage",
        )
    moved = with_cash(
        _with_position(account, position, replace(changed, isolated_margin=after)), settlement, before - after
    )
    return _require_safe(moved, market, rulebook, "the new leverage", levels)


def switch_mode(
    account: Account, market: Market, rulebook: Rulebook, symbol: str, mode: MarginMode
) -> Account:
    """Move a position between its own pool and the account's, checked against both rules (IMM-6)."""
    if mode not in rulebook.account.modes:
        raise refused(
            f"{account.name}: {symbol}",
            Reason.NOT_ALLOWED,
            f"{rulebook.id} has no {mode} mode; it has {', '.join(rulebook.account.modes)}",
        )
    position = _position(account, symbol)
    if position.mode is mode:
        return account
    levels = _levels(account, market, rulebook)
    settlement = _instrument(market, account, symbol).settlement
    if mode is MarginMode.CROSS:
        allotted = _allotted(account, market, rulebook, position)
        after = _with_position(account, position, replace(position, mode=mode, isolated_margin=None))
        return _require_safe(with_cash(after, settlement, allotted), market, rulebook, "cross mode", levels)
    fresh = replace(position, mode=mode)
    isolated = _with_position(account, position, fresh)
    allotted = _allotted(isolated, market, rulebook, fresh)
    after = _with_position(account, position, replace(fresh, isolated_margin=allotted))
    return _require_safe(with_cash(after, settlement, -allotted), market, rulebook, "isolated mode", levels)


def transfer(
    giver: Account, receiver: Account, market: Market, rulebook: Rulebook, asset: str, amount: float
) -> tuple[Account, Account]:
    """Move cash between two accounts of one holder; the giver keeps its initial margin (CMS-4, CMS-6)."""
    if not 0 < amount < float("inf"):
        raise refused(giver.name, Reason.INVALID_VALUE, f"amount is {amount!r}; it must be above zero")
    free = sum(b.amount - b.locked for b in giver.balances if b.asset == asset)
    if amount > free:
        raise refused(
            f"{giver.name}: {asset}",
            Reason.INSUFFICIENT,
            f"{free:.10g} is free and {amount:.10g} is asked; transfer less",
        )
    if (giver.parent or giver.name) != (receiver.parent or receiver.name):
        raise refused(
            giver.name, Reason.NOT_ALLOWED, f"{receiver.name} is not of the same holder; set its parent"
        )
    poorer = _require_safe(
        with_cash(giver, asset, -amount), market, rulebook, "the transfer", _levels(giver, market, rulebook)
    )
    return poorer, with_cash(receiver, asset, amount)


def close_part(account: Account, market: Market, symbol: str, quantity: float, price: float) -> Account:
    """Fill against a position and book what it frees: profit or an option's premium, and isolated margin pro rata (IMM-4)."""
    position = _position(account, symbol)
    instrument = _instrument(market, account, symbol)
    after, _ = fill(instrument, position, quantity, price)
    freed = (
        (position.isolated_margin or 0.0) - (after.isolated_margin or 0.0)
        if position.mode is MarginMode.ISOLATED
        else 0.0
    )
    moved = cash_of(instrument, market, position, quantity, price)
    return with_cash(_with_position(account, position, after), instrument.settlement, moved + freed)
