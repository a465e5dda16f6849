"""Columns of words as numbers: an account's name or a symbol is read once, however many rows repeat it.

Arrow arrays come in, NumPy arrays go out; none of it makes a Python object a row. Needs the ``frames`` extra.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from margrave.domain.book import Names, names_of
from margrave.kernels.arrays import I32, I64

_TEXT: Final = np.dtypes.StringDType()
_SAMPLE: Final = 4_096  # rows that show whether a column comes in runs
_WIDEST: Final = 64  # bytes of a name that is worth a matrix of bytes
_PIECE: Final = 65_536


@final
@dataclass(frozen=True, slots=True)
class Words:
    """A column of words: each row's place among the words, -1 where it has none."""

    code: I32
    words: Any  # pyarrow.Array of strings, each once, in the order in which rows first have them


def words_of(data: Any) -> Words:
    """Number the words of a column.

    Parameters
    ----------
    data : pyarrow.ChunkedArray
        Text or whole numbers, also as a dictionary; null where a row has none. Words of a dictionary may be doubled, in
        any order, or belong to no row.
    """
    if pa.types.is_dictionary(data.type):
        return _of_dictionary(data)
    if pa.types.is_string_view(data.type):
        data = data.cast(pa.string())
    head = data.slice(0, _SAMPLE)
    if 2 * sum(len(run.values) for run in _runs(head)) < len(head):
        return _of_runs(_runs(data), data.type)
    return _coded(data)


def _coded(data: Any) -> Words:
    coded = piece(data.dictionary_encode())
    indices = coded.indices if coded.null_count == 0 else coded.indices.fill_null(-1)
    code = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Words(code, coded.dictionary.cast(pa.string()))


def _runs(data: Any) -> list[Any]:
    return [pc.run_end_encode(chunk) for chunk in data.chunks if len(chunk)]


def _of_runs(runs: list[Any], kind: Any) -> Words:
    # Rows of one account stand together: only the first of each run is looked up.
    found = _coded(pa.chunked_array([run.values for run in runs], type=kind))
    lengths = [np.diff(run.run_ends.to_numpy(), prepend=0) for run in runs]
    return Words(np.repeat(found.code, np.concatenate(lengths)), found.words)


def _of_dictionary(data: Any) -> Words:
    coded = piece(data.unify_dictionaries())
    indices = coded.indices if coded.indices.null_count == 0 else coded.indices.fill_null(-1)
    alike = _coded(pa.chunked_array([coded.dictionary]))
    code = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if len(alike.words) < len(alike.code) or coded.dictionary.null_count:
        code = np.append(alike.code, np.int32(-1))[code]  # the last is the place of what is not there
    first = _first_rows(code, len(alike.words))
    seen = first[:-1].argsort(kind="stable")[: np.count_nonzero(first[:-1] < len(code))]
    if len(seen) == len(alike.words) and (seen[1:] > seen[:-1]).all():
        return Words(code, alike.words)
    number = np.full(len(first), -1, dtype=np.int32)
    number[seen] = np.arange(len(seen))
    return Words(number[code], alike.words.take(pa.array(seen)))


def _first_rows(code: I32, count: int) -> I64:
    # First row of each word, and at the end that of rows without one; the number of rows where there is none.
    first = np.full(count + 1, len(code))
    for start in range(0, len(code), _PIECE):
        block = code[start : start + _PIECE]
        fresh = np.flatnonzero(first[block] == len(code))[::-1]
        first[block[fresh]] = start + fresh  # of rows with one word the first is written last, and stays
        if (first[:-1] < len(code)).all():
            break
    return first


def piece(data: Any) -> Any:
    """A column in one piece; the caller's own where it is one already."""
    return (
        data.chunk(0) if data.num_chunks == 1 else pa.concat_arrays(data.chunks or [pa.array([], data.type)])
    )


def grouped(owner: I32) -> I64:
    """Rows in the order of their owners, and of one owner in their own order, (n,)."""
    # Owner and row in one number: NumPy sorts numbers in vectors, and pairs it does not.
    rows = np.arange(len(owner), dtype=np.int64)
    key = (owner.astype(np.int64) << 32) | rows
    key.sort()
    return key & 0xFFFF_FFFF


def are_once(key: I32 | I64) -> bool:
    """Whether no two rows have one key."""
    if (key[1:] > key[:-1]).all():
        return True
    ordered = np.sort(key)
    return not (ordered[1:] == ordered[:-1]).any()


def text_of(words: Any) -> Names:
    """Strings of Arrow as strings of NumPy."""
    width = pc.max(pc.binary_length(words)).as_py() or 0
    narrow = _narrow(words, width) if 0 < width <= _WIDEST else None
    if narrow is not None:
        return narrow
    # By pieces, so that no more than one of them stands in memory as Python objects.
    out = np.zeros(len(words), dtype=_TEXT)
    for start in range(0, len(words), _PIECE):
        out[start : start + _PIECE] = names_of(words.slice(start, _PIECE).to_pylist())
    return out


def _narrow(words: Any, width: int) -> Names | None:
    # As a matrix of bytes, a row a word; none where a word holds the byte that fills the rows.
    start = np.frombuffer(words.buffers()[1], dtype=np.int32)[words.offset : words.offset + len(words) + 1]
    used = np.frombuffer(words.buffers()[2], dtype=np.uint8)[start[0] : start[-1]]
    if not used.all():
        return None
    length = np.diff(start)
    if length.min() == width:
        return used.view(f"S{width}").astype(_TEXT)
    rows = np.zeros((len(words), width), dtype=np.uint8)
    rows[np.arange(width) < length[:, None]] = used
    return rows.view(f"S{width}")[:, 0].astype(_TEXT)
