"""Words of a column as numbers: the same whether they come plain, as a dictionary, in runs or in pieces."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.adapters.words import are_once, grouped, text_of, words_of

WORDS = st.lists(st.sampled_from(["A", "BTC-PERPETUAL", "é", "", "x" * 70, None]), max_size=60)


def plain(rows):
    """Slow twin: number words as they are met."""
    number: dict[str, int] = {}
    return [-1 if word is None else number.setdefault(word, len(number)) for word in rows], list(number)


def told(data):
    found = words_of(data)
    return found.code.tolist(), found.words.to_pylist()


@given(WORDS, st.integers(0, 60), st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]))
def test_words_are_numbered_as_they_are_met(rows, cut, kind):
    cut = min(cut, len(rows))
    data = pa.chunked_array([pa.array(rows[:cut], kind), pa.array(rows[cut:], kind)])
    assert told(data) == plain(rows)


@given(WORDS, st.integers(0, 60))
def test_a_dictionary_says_what_plain_words_say(rows, cut):
    cut = min(cut, len(rows))
    parts = [pa.array(part, pa.string()).dictionary_encode() for part in (rows[:cut], rows[cut:])]
    assert told(pa.chunked_array(parts)) == plain(rows)


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=4))
def test_dictionaries_of_many_pieces_shared_or_not(pieces):
    """As the row groups of a file have them: ascending or not, the last word of one the first of the next."""
    parts, rows = [], []
    for words, ascending in pieces:
        ordered = sorted(words, key=lambda w: (w is None, w)) if ascending else words
        whole = pa.array(ordered, pa.string()).dictionary_encode()
        parts += [whole.slice(0, len(ordered) // 2), whole.slice(len(ordered) // 2)]
        rows += ordered
    assert told(pa.chunked_array(parts, pa.dictionary(pa.int32(), pa.string()))) == plain(rows)


@pytest.mark.parametrize(
    ("indices", "dictionary", "code", "words"),
    [
        ([0, 1, 2], ["b", "a", "b"], [0, 1, 0], ["b", "a"]),  # a word stands twice
        ([2, 0], ["a", "unused", "b"], [0, 1], ["b", "a"]),
        ([1, None, 0], ["a", None], [-1, -1, 0], ["a"]),  # both ways to have none
    ],
)
def test_a_dictionary_of_any_kind(indices, dictionary, code, words):
    data = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(dictionary, pa.string()))
    assert told(pa.chunked_array([data])) == (code, words)


def test_runs_of_rows_and_whole_numbers():
    rows = np.repeat(np.arange(9_000)[::-1], 3)
    assert told(pa.chunked_array([rows[:5_000], rows[5_000:]])) == (
        np.repeat(np.arange(9_000), 3).tolist(),
        [str(n) for n in range(8_999, -1, -1)],
    )


@given(st.lists(st.integers(-1, 5), max_size=40))
def test_rows_are_grouped_in_their_order(owner):
    column = np.array(owner, dtype=np.int32)
    np.testing.assert_array_equal(grouped(column), column.argsort(kind="stable"))


@given(st.lists(st.integers(-3, 40) | st.just(2**40), min_size=1, max_size=12))
def test_keys_that_stand_once(key):
    assert are_once(np.array(key), np.zeros(len(key), dtype=np.int32)) == (len(set(key)) == len(key))


@pytest.mark.parametrize("each", [4, 40, 80])  # rows that are compared, and rows that are sorted
@pytest.mark.parametrize("again", [None, 0, 65_535, 65_536, 131_071, 199_998])
def test_keys_of_many_owners_that_stand_once(again, each):
    """In pieces, with and without a key that is there twice in one owner, as far apart as they can be."""
    owner = np.repeat(np.arange(200_000 // each, dtype=np.int32), each)
    inside = np.tile(np.random.default_rng(2).permutation(each).astype(np.int32), 200_000 // each)
    if again is not None:
        first = again - again % each
        inside[first + each - 1] = inside[first]
    assert are_once(each * owner + inside, owner) == (again is None)
    shuffled = np.random.default_rng(1).permutation(len(owner))
    assert are_once((each * owner + inside)[shuffled], owner[shuffled]) == (again is None)


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | st.just("y" * 80), max_size=30),
    st.integers(0, 5),
)
def test_names_keep_every_character(names, skipped):
    array = pa.array(names, pa.string()).slice(skipped)
    assert text_of(array).tolist() == names[skipped:]
