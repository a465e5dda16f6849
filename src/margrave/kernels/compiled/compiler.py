"""How kernels are compiled, and how their work is cut into pieces."""

from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import sha256
from itertools import pairwise
from pkgutil import get_data
from typing import TypeVar, cast

import numpy as np

from margrave.kernels.arrays import I64

try:
    import numba
except ImportError as missing:  # pragma: no cover - shown by a test in a process of its own
    raise ImportError(
        "the compiled kernels need Numba, which is not installed: pip install 'margrave[fast]'"
    ) from missing

PIECES = 8
"""Pieces of work that a pool gets at most: a few for each thread, so that none waits long for the last."""

_F = TypeVar("_F", bound=Callable[..., object])


def _stamp() -> str:
    """Digest of the files whose functions and numbers are compiled into those of other files."""
    rooms = (
        "compiler",
        "intrinsics",
        "normal",
        "black_steps",
        "coin_pools",
        "laid_out",
        "one_account",
        "ladder_steps",
        "ladder_orders",
        "ladder_pools",
        "directional_pools",
    )
    shared = (*(f"compiled/{room}.py" for room in rooms), "normal.py")
    return sha256(b"".join(get_data("margrave.kernels", name) or b"" for name in shared)).hexdigest()


_STAMP = _stamp()


def kernel(function: _F) -> _F:
    """Compile a function on first call, with strict arithmetic, without the interpreter's lock, cached on disk.

    It can make no arrays, and counts no references to those that it is given: each would be two atomic steps at every call of
    another kernel, which for one account is most of the time. It may give views of them to other kernels of its kind only.

    Numba asks only whether the function's own file has changed before it takes machine code from the cache, and would
    go on with old versions of what was inlined from others: our stamp is theirs as well.
    """
    return _compiled(function, _nrt=False)


def inner(function: _F) -> _F:
    """A `kernel` that kernels alone call: without a wrapper for Python, which takes longer to compile than many a function."""
    return _compiled(function, _nrt=False, no_cpython_wrapper=True)


def inlined(function: _F) -> _F:
    """An `inner` kernel that becomes one of each kernel that calls it: for loops that would hand over many columns, by copy, at every step."""
    return _compiled(function, _nrt=False, no_cpython_wrapper=True, forceinline=True)


def kernel_with_room(function: _F) -> _F:
    """A `kernel` that makes arrays of its own, or gives views to one that does."""
    return _compiled(function)


def _compiled(function: _F, **options: bool) -> _F:
    compiled = numba.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True, **options)(
        function
    )
    if not numba.config.DISABLE_JIT:
        file = compiled._cache._cache_file
        file._source_stamp = (file._source_stamp, _STAMP)
    return cast(_F, compiled)


def in_pieces(
    work: Callable[[int, int], object], count: int, bounds: Callable[[], I64], pool: Executor | None
) -> None:
    """Do ``work(first, past)`` for all of ``count`` rows: at once, or piece by piece in a pool's threads.

    Parameters
    ----------
    work : callable
        Writes rows ``first`` to ``past - 1`` of its results and nothing else.
    count : int
        Rows.
    bounds : callable
        Gives the ascending ends (N + 1,) of the pieces; asked only where there is a pool.
    pool : Executor or None
        Of threads.
    """
    if pool is None:
        work(0, count)
        return
    tasks = [pool.submit(work, int(a), int(b)) for a, b in pairwise(bounds()) if b > a]
    for task in tasks:
        task.result()


def even_bounds(count: int, multiple: int, least: int) -> I64:
    """Ends of up to `PIECES` pieces of about one length, at least `least`, each but the last a multiple of `multiple`.

    A piece must be worth the waking of a thread, some tens of microseconds.
    """
    pieces = _pieces(count, least)
    steps = -(-count // multiple)
    return np.minimum(np.arange(pieces + 1) * steps // pieces * multiple, count)


def row_bounds(start: I64, least: int) -> I64:
    """Ends of up to `PIECES` pieces of compressed rows (K + 1,) with about as many entries each, at least `least`."""
    pieces = _pieces(int(start[-1] - start[0]), least)
    bounds = np.searchsorted(start, np.linspace(start[0], start[-1], pieces + 1))
    bounds[0], bounds[-1] = 0, len(start) - 1
    return np.asarray(bounds)


def _pieces(count: int, least: int) -> int:
    return min(max(count // least, 1), PIECES)
