"""A tick over shards in Ray workers beside the same tick in one process, in one run; and what a lost worker costs.

``python -m bench.cluster [ACCOUNTS [WORKERS]]``: 200,000 accounts in 2 workers unless told.
"""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import ray

from margrave.adapters.made_book import made_book, made_market
from margrave.cluster.shards import split
from margrave.cluster.venue import Cluster
from margrave.cluster.venue import started as spread
from margrave.engine.live.events import Event, Input, Tick
from margrave.engine.live.venue import LiveBook, advance, started
from margrave.rulebook.catalogue import in_force

RULES = ("example.inverse", "deribit.spm")
_TURNS = 5


def timed(work: Callable[[], object]) -> float:
    """Seconds that work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ticks(state: LiveBook, turn: int, index: bool) -> list[Event]:
    """One tick of an index, or of nothing that anybody holds (it is older than what is known)."""
    moved = timedelta(milliseconds=turn + 1)
    if not index:
        return [Tick(state.prices.at - moved, Input.INDEX, "BTC", 1.0)]
    return [Tick(state.prices.at + moved, Input.INDEX, "BTC", state.prices.index["BTC"] * (1 - 0.001 * turn))]


def measure(count: int, workers: int, name: str) -> None:
    """A table of one rulebook."""
    market = made_market()
    rulebook, book = in_force(name, market.at), made_book(count, 1, market)
    whole = started(book, market, rulebook)
    parts = split(book, workers)
    start = time.perf_counter()
    with spread(parts, market, rulebook) as cluster:
        print(
            f"{name}: {count:,} accounts, {workers} workers, started in {time.perf_counter() - start:.2f} s"
        )
        one, many, none = [], [], []
        for turn in range(_TURNS):
            batch = ticks(whole, turn, index=True)
            one.append(timed(lambda batch=batch: advance(whole, batch)))
            many.append(timed(lambda batch=batch: cluster.advance(batch)))
            none.append(timed(lambda turn=turn: cluster.advance(ticks(whole, turn, index=False))))
        alone, spreaded = float(np.median(one)), float(np.median(many))
        print(f"  tick of an index, one process   {alone * 1e3:9.1f} ms")
        print(f"  tick of an index, workers       {spreaded * 1e3:9.1f} ms, {alone / spreaded:.2f} x as fast")
        print(f"  batch that moves nothing        {np.median(none) * 1e3:9.2f} ms: Ray's own cost of a tick")
        print(f"  a worker killed, next batch in  {lost(cluster, whole) * 1e3:9.1f} ms")
        print(f"  audit: {cluster.audited() or 'the same bits'}")


def lost(cluster: Cluster, whole: LiveBook) -> float:
    """Seconds of the batch in which a killed worker is found and rebuilt."""
    ray.kill(cluster.workers()[0])
    return timed(lambda: cluster.advance(ticks(whole, _TURNS, index=True)))


def main() -> None:
    """Print all of it."""
    told = [int(word.replace(",", "")) for word in sys.argv[1:]]
    count, workers = (*told, *(200_000, 2)[len(told) :])
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="error")
    for name in RULES:
        measure(count, workers, name)


if __name__ == "__main__":
    main()
