"""What one worker does: it keeps a shard of the book and moves it by events. It knows nothing of Ray."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

from margrave.cluster.shards import require_shard
from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.engine.assess import notes_of
from margrave.engine.books.venue import BookAssessment
from margrave.engine.live.events import Event
from margrave.engine.live.pools import Difference
from margrave.engine.live.venue import Changes, LiveBook, advance, audited, started
from margrave.rulebook.schema import Rulebook

Numbered: TypeAlias = Sequence[tuple[int, Event]]
"""Events with their place in the batch, so that what everybody hears and what is one's own can be put in order."""


@final
class Worker:
    """One shard. The only thing here that changes is which `LiveBook` it keeps."""

    def __init__(self, threads: int, compiled: bool = False) -> None:
        self._threads = threads
        self._compiled = compiled
        self._state: LiveBook | None = None

    def start(
        self,
        load: Callable[[], Book],
        shard: int,
        count: int,
        market: Market,
        rulebook: Rulebook,
        later: Sequence[Rulebook] = (),
    ) -> int:
        """Compute a shard from its book, and tell how many accounts it has."""
        book = load()
        require_shard(book, shard, count)
        self._state = started(
            book, market, rulebook, later=later, threads=self._threads, compiled=self._compiled
        )
        return len(book.names)

    def resume(self, state: LiveBook) -> None:
        """Go on from a state that was taken before."""
        self._state = state

    def advance(self, heard: Numbered, own: Numbered) -> Changes:
        """Move by a batch: what every shard hears, and what is this one's own."""
        events = [event for _, event in sorted((*heard, *own), key=lambda pair: pair[0])]
        self._state, changes = advance(self.state(), events, threads=self._threads)
        return changes

    def state(self) -> LiveBook:
        """The shard as it stands."""
        if self._state is None:
            raise RuntimeError("the worker has no shard yet: call start or resume first")
        return self._state

    def assessment(self) -> BookAssessment:
        """The shard as columns."""
        state = self.state()
        rulebook, at = state.rulebook, state.market.at
        return BookAssessment(
            state.book.names,
            state.book.symbols,
            state.resolved.table.assets,
            rulebook.id,
            rulebook.valid_from,
            at,
            state.pools.columns,
            dict(state.pools.issues),
            notes_of(rulebook, at),
        )

    def audited(self) -> Difference | None:
        """First account whose full recompute differs; None where none does."""
        return audited(self.state(), threads=self._threads)
