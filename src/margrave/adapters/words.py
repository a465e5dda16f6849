"""Columns of words as numbers: an account's name or a symbol is read once, however many rows repeat it.

Arrow arrays come in, NumPy arrays go out; none of it makes a Python object a row. Needs the ``frames`` extra.
"""

from dataclasses import dataclass
from itertools import pairwise
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
_FEW: Final = 40  # rows of an owner that are sooner compared than sorted


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
    found = _numbered(pa.concat_arrays([run.values for run in runs] or [pa.array([], type=kind)]))
    lengths = [np.diff(run.run_ends.to_numpy(), prepend=0) for run in runs]
    return Words(np.repeat(found.code, np.concatenate(lengths)), found.words)


def _of_dictionary(data: Any) -> Words:
    dictionaries, of_chunk = _dictionaries(data)
    whole = pa.concat_arrays(dictionaries or [pa.array([], type=data.type.value_type)])
    alike = _numbered(whole)
    ends = np.cumsum([0, *(len(one) for one in dictionaries)])
    places = [alike.code[a:b] for a, b in pairwise(ends)]
    runs = [len(p) > 0 and p[0] >= 0 and bool((np.diff(p) == 1).all()) for p in places]
    codes = [np.zeros(0, dtype=np.int32)]
    for chunk, own in zip(data.chunks, of_chunk, strict=True):
        indices = chunk.indices if chunk.indices.null_count == 0 else chunk.indices.fill_null(-1)
        code = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        place = places[own]
        if not runs[own]:
            code = np.append(place, np.int32(-1))[code]  # the last is the place of what is not there
        elif place[0] > 0:
            code = np.where(code < 0, code, code + place[0])
        codes.append(code)
    code = codes[1] if len(codes) == 2 else np.concatenate(codes)
    if _are_in_order(code, len(alike.words)):
        return Words(code, alike.words)
    first = _first_rows(code, len(alike.words))
    seen = first[:-1].argsort(kind="stable")[: np.count_nonzero(first[:-1] < len(code))]
    if len(seen) == len(alike.words) and (seen[1:] > seen[:-1]).all():
        return Words(code, alike.words)
    number = np.full(len(first), -1, dtype=np.int32)
    number[seen] = np.arange(len(seen))
    return Words(number[code], alike.words.take(pa.array(seen)))


def _dictionaries(data: Any) -> tuple[list[Any], list[int]]:
    # Dictionaries of the pieces of a column, and which is each piece's: those of a file share theirs.
    seen: dict[Any, int] = {}
    dictionaries: list[Any] = []
    of_chunk: list[int] = []
    for chunk in data.chunks:
        own = chunk.dictionary
        key = (own.offset, len(own), *(b.address if b else 0 for b in own.buffers()))
        if key not in seen:
            seen[key] = len(dictionaries)
            dictionaries.append(own)
        of_chunk.append(seen[key])
    return dictionaries, of_chunk


def _numbered(words: Any) -> Words:
    # Equal words stand together where they ascend: none has to be looked up.
    if len(words) > 1 and not words.null_count and pc.all(pc.less_equal(words[:-1], words[1:])).as_py():
        other = pc.less(words[:-1], words[1:]).to_numpy(zero_copy_only=False)
        first = np.concatenate(([True], other))
        code = np.cumsum(first, dtype=np.int32) - np.int32(1)
        alone = words if other.all() else words.filter(pa.array(first))
        return Words(code, alone.cast(pa.string()))
    return _coded(pa.chunked_array([words], type=words.type))


def _are_in_order(code: I32, count: int) -> bool:
    # Whether rows go through all words one after another, as those of a sorted file do.
    if not len(code) or code[0] != 0 or code[-1] != count - 1:
        return False
    steps = np.diff(code)
    return not len(steps) or bool(steps.min() >= 0 and steps.max() <= 1)


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


def are_once(key: I32 | I64, owner: I32) -> bool:
    """Whether no two rows of one owner have one key; rows of an owner stand together where owners ascend, or anywhere.

    Keys of two owners are never the same.
    """
    if len(key) < 2 or (key[1:] > key[:-1]).all():
        return True
    if len(key) <= _PIECE or (owner[1:] < owner[:-1]).any():
        return _is_each_once(key)
    ends = np.concatenate(([0], np.flatnonzero(owner[1:] != owner[:-1]) + 1, [len(owner)]))
    longest = int(np.diff(ends).max())
    if longest <= _FEW:
        return _are_apart(key, longest)
    # By pieces of whole owners, which stay in a processor's cache.
    ends = np.unique(ends[ends.searchsorted(np.arange(0, len(key), _PIECE))])
    return all(_is_each_once(key[a:b]) for a, b in pairwise([*ends.tolist(), len(key)]))


def _are_apart(key: I32 | I64, longest: int) -> bool:
    # Every row beside each of those before it that may have its owner: quicker than sorting where owners have few.
    for start in range(0, len(key), _PIECE):
        block = key[max(start - longest, 0) : start + _PIECE]
        if any(np.count_nonzero(block[k:] == block[:-k]) for k in range(1, longest)):
            return False
    return True


def _is_each_once(key: I32 | I64) -> bool:
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
