"""All of a live book at once through the compiled sweep, laid out once and kept from tick to tick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from margrave.domain.amended import unnamed
from margrave.domain.book import Book
from margrave.engine.books.venue import assess_resolved
from margrave.engine.live.pools import LivePools, merged, pools_from
from margrave.kernels.arrays import I64
from margrave.margin.resolve import Resolved

if TYPE_CHECKING:  # the compiler is imported by those who ask for it
    from margrave.engine.books.compiled_path import KeptBook

_MOST_CHANGED: Final = 0.02  # share of the accounts beyond which a book is laid out anew


@final
@dataclass(frozen=True, slots=True)
class Layout:
    """A book as it was laid out, and who has changed since."""

    kept: "KeptBook"
    since: I64  # accounts, ascending, of which a row is another, or that are new


def laid(book: Book, resolved: Resolved, threads: int) -> Layout:
    """Lay a book out as it stands."""
    from margrave.engine.books.compiled_path import keep_in

    return Layout(keep_in(book, resolved, threads=threads), np.zeros(0, dtype=np.int64))


def amended(layout: Layout | None, accounts: I64) -> Layout | None:
    """A layout of a book of which some accounts, ascending, are others now."""
    if layout is None or not accounts.size:
        return layout
    return Layout(layout.kept, np.union1d(layout.since, accounts))


def serves(layout: Layout | None, book: Book, resolved: Resolved) -> bool:
    """Whether what was laid out is still most of a book, in the same tables and under the same rules."""
    if layout is None or len(layout.since) > _MOST_CHANGED * len(book.names):
        return False
    then = layout.kept.book
    return (
        layout.kept.rulebook is resolved.rulebook
        and then.symbols == book.symbols
        and then.assets == book.assets
    )


def whole(layout: Layout, book: Book, resolved: Resolved, threads: int) -> tuple[Layout, LivePools]:
    """Pools of all accounts, bit for bit as without a layout; and the layout, anew where contracts are others.

    Parameters
    ----------
    layout : Layout
        That `serves`.
    book, resolved : Book, Resolved
        As they are now.
    threads : int
        The same bits for any number.
    """
    from margrave.engine.books.compiled_path import assess_kept_in

    kept, found = assess_kept_in(layout.kept, resolved, threads=threads)
    pools, since = pools_from(found), layout.since
    if since.size:
        some = assess_resolved(unnamed(book, since), resolved, threads=threads, compiled=True)
        pools = merged(pools, pools_from(some, since), since)
    return Layout(kept, since), pools
