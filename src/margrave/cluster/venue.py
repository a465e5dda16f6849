"""A live venue whose book is spread over the workers of a Ray cluster, with the digits of one process.

::

    with started(split(book, 8), market, rulebook) as venue:
        changes = venue.advance(events)       # again and again
        found = venue.assessment()            # columns of the whole book

A shard stays in its worker. What all shards have to hear (prices, clocks) is put into Ray's object store once a batch;
what concerns one account goes to its shard. A worker that dies, or does not answer in time, is replaced: a new one starts
from the shard's book or its last snapshot, repeats the batches since, and answers for the one that was lost.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, final

import ray
from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError

from margrave.cluster.shards import combined, gathered, owner_of
from margrave.cluster.worker import Worker
from margrave.core.errors import Issue, MargraveError, Reason
from margrave.domain.book import Book
from margrave.domain.market import Market
from margrave.engine.books.venue import BookAssessment
from margrave.engine.live.events import Event
from margrave.engine.live.pools import Difference
from margrave.engine.live.venue import Changes
from margrave.rulebook.schema import Rulebook

_LOST: Final = (RayActorError, GetTimeoutError, ObjectLostError)
_TRIES: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """How shards are kept."""

    threads: int = 1  # of each worker; also the processors that Ray reserves for it
    compiled: bool = False  # through the compiled sweep where it serves
    patience: float | None = None  # [s] after which a worker that does not answer is replaced; None: waits
    snapshot_every: int | None = (
        256  # batches after which a shard's state is kept; None: repeats all from the start
    )


@final
@dataclass(slots=True)
class _Shard:
    load: Callable[[], Book]
    actor: Any = None
    snapshot: Any = (
        None  # reference to the state before the first batch of the log; None: before the first of all
    )
    log: list[tuple[Any, Any]] = field(default_factory=list)  # references to batches: heard by all, own


@final
class Cluster:
    """Shards in their workers. Close it, or use it in a ``with``: workers hold memory until then."""

    def __init__(self, shards: list[_Shard], inputs: tuple[Any, Any, Any], settings: Settings) -> None:
        self._shards = shards
        self._inputs = inputs
        self._settings = settings
        self.replaced = 0  # workers that were lost and rebuilt
        self.accounts = sum(self._all([self._begin(k) for k in range(len(shards))], self._rebuilt))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers; Ray itself stays as it was."""
        for shard in self._shards:
            _stopped(shard.actor)
        self._shards = []

    def workers(self) -> tuple[Any, ...]:
        """Ray's handle of each shard's actor, to look at or to place."""
        return tuple(shard.actor for shard in self._shards)

    def advance(self, events: Iterable[Event]) -> Changes:
        """Move the venue by a batch of events, as `engine.live.venue.advance` does.

        Raises
        ------
        MargraveError
            Where a shard's worker dies again and again. The other shards have moved; the batch is kept, and the next call
            repeats it in that shard.
        """
        events, count = tuple(events), len(self._shards)
        owners = [owner_of(event, count) for event in events]
        numbered = list(zip(owners, enumerate(events), strict=True))
        heard = ray.put([pair for owner, pair in numbered if owner is None])
        asked = []
        for k, shard in enumerate(self._shards):
            own = ray.put([pair for owner, pair in numbered if owner == k])
            shard.log.append((heard, own))
            asked.append(shard.actor.advance.remote(heard, own))
        changes = combined(events, self._all(asked, self._rebuilt))
        self._kept()
        return changes

    def assessment(self) -> BookAssessment:
        """Columns of the whole book, shard by shard."""
        return gathered(self._asked("assessment"))

    def audited(self) -> Difference | None:
        """First account whose full recompute differs; None where none does in any shard."""
        return next((found for found in self._asked("audited") if found is not None), None)

    def _asked(self, method: str) -> list[Any]:
        def again(k: int) -> Any:
            self._rebuilt(k)
            return self._got(getattr(self._shards[k].actor, method).remote())

        return self._all([getattr(shard.actor, method).remote() for shard in self._shards], again)

    def _all(self, asked: Sequence[Any], again: Callable[[int], Any]) -> list[Any]:
        # Everybody works at the same time; whoever is lost is asked again, alone.
        answers = []
        for k, reference in enumerate(asked):
            try:
                answers.append(self._got(reference))
            except _LOST:
                answers.append(again(k))
        return answers

    def _got(self, reference: Any) -> Any:
        return ray.get(reference, timeout=self._settings.patience)

    def _begin(self, k: int) -> Any:
        # A worker for a shard, at its snapshot or its book: what it answers once it stands there.
        shard, threads = self._shards[k], self._settings.threads
        worker = ray.remote(Worker).options(num_cpus=threads, max_restarts=0)
        actor = worker.remote(threads, self._settings.compiled)
        shard.actor = actor
        if shard.snapshot is not None:
            return actor.resume.remote(shard.snapshot)
        return actor.start.remote(shard.load, k, len(self._shards), *self._inputs)

    def _rebuilt(self, k: int) -> Any:
        # A new worker that has repeated the log: its last answer.
        shard = self._shards[k]
        for _ in range(_TRIES):
            _stopped(shard.actor)
            self.replaced += 1
            try:
                answers = [self._got(self._begin(k))]
                answers += [self._got(shard.actor.advance.remote(*batch)) for batch in shard.log]
            except _LOST:
                continue
            return answers[-1]
        message = (
            f"its worker was lost {_TRIES} times while it repeated {len(shard.log)} batches; look at the memory of its node "
            "and at Ray's log of the actor, or spread the book over more shards"
        )
        raise MargraveError([Issue(f"shard {k}", Reason.INVALID_VALUE, message)])

    def _kept(self) -> None:
        # The driver owns a snapshot, so that it outlives the node that made it.
        most = self._settings.snapshot_every
        full = [shard for shard in self._shards if most is not None and len(shard.log) >= most]
        for shard, reference in [(shard, shard.actor.state.remote()) for shard in full]:
            try:
                shard.snapshot = ray.put(self._got(reference))
            except _LOST:
                continue  # the log still tells everything; the next batch finds the worker dead
            shard.log = []


def _stopped(actor: Any) -> None:
    if actor is not None:
        ray.kill(actor)


def started(
    shards: Sequence[Book | Callable[[], Book]],
    market: Market,
    rulebook: Rulebook,
    settings: Settings | None = None,
    *,
    later: Iterable[Rulebook] = (),
) -> Cluster:
    """Start a worker for each shard and compute it.

    Parameters
    ----------
    shards : sequence of Book, or of functions that load one
        As `shards.split` gives them. A function is called in the worker, so that a book of any size never passes through this
        process: ``functools.partial(read_book, "shard-3.parquet")``. It must give the same book whenever a worker is rebuilt.
    market, rulebook : Market, Rulebook
        Sent to every worker once.
    settings : Settings, optional
        Threads, patience, snapshots.
    later : iterable of Rulebook
        Rules that take effect when a clock reaches their ``valid_from``.

    Returns
    -------
    Cluster
        In a running Ray: the one that ``ray.init(address=...)`` joined, or one that is started here.

    Raises
    ------
    MargraveError
        Where an account is not of the shard that it is in, or there is no shard.
    """
    if not shards:
        raise MargraveError([Issue("shards", Reason.INVALID_VALUE, "there is none; give one book or more")])
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    loads = [_Shard(each if callable(each) else _Resident(ray.put(each))) for each in shards]
    return Cluster(loads, (ray.put(market), ray.put(rulebook), ray.put(tuple(later))), settings or Settings())


@final
@dataclass(frozen=True, slots=True)
class _Resident:
    """A book that this process put into the object store."""

    book: Any

    def __call__(self) -> Book:
        found: Book = ray.get(self.book)
        return found
