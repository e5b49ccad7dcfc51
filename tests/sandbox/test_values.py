"""Values over a pipe: what arrives is what was sent, and any bytes at all do no harm."""

import time
from collections import Counter, OrderedDict, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlx_t2.sandbox.values import MAX_BYTES, MAX_DEPTH, Opaque, decode, encode, show

KEYS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary()
KEYS = KEYS | st.text() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    KEYS | st.complex_numbers(allow_nan=False) | st.frozensets(KEYS) | st.sets(KEYS),
    lambda v: st.lists(v) | st.lists(v).map(tuple) | st.dictionaries(KEYS, v),
    max_leaves=10,
)


@settings(deadline=None, max_examples=30)
@given(VALUES)
def test_what_arrives_is_what_was_sent(value):
    arrived = decode(encode(value))
    assert type(arrived) is type(value)
    assert arrived == value


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=60), VALUES)
def test_any_bytes_are_a_value_or_malformed(noise, value):
    whole = encode(value)
    for data in (noise, whole[:-1], whole + noise[:1], noise + whole, whole[:5] + noise):
        try:
            decode(data)
        except ValueError as error:
            assert str(error).startswith("malformed value")  # noqa: PT017


@pytest.mark.parametrize(
    "value", [Counter("aab"), OrderedDict(a=1), defaultdict(list, {"a": [1]})]
)
def test_dictionaries_of_the_standard_library_arrive_as_plain_ones(value):
    arrived = decode(encode(value))
    assert type(arrived) is dict
    assert arrived == dict(value)


def test_half_a_pair_of_text_arrives():
    assert decode(encode("\ud800")) == "\ud800"


def test_nan_arrives_and_equals_nothing():
    assert decode(encode([float("nan")])) != [float("nan")]


@pytest.mark.parametrize(
    "value",
    [object(), int, len, iter([]), range(3), bytearray(b"a"), type("I", (int,), {})(3)],
)
def test_anything_else_is_opaque(value):
    arrived = decode(encode(value))
    assert isinstance(arrived, Opaque)
    assert arrived != value
    assert repr(arrived) == f"<{type(value).__name__}>"


def test_what_is_kept_by_the_writer_is_held_by_the_reader():
    things = [len, "x"]
    sent = encode([len, 1], keep=things.index)
    assert decode(sent, hold=things.__getitem__) == [len, 1]
    with pytest.raises(ValueError, match="malformed"):
        decode(sent)


@pytest.mark.parametrize("kind", [list, tuple])
def test_nesting_ends_at_its_limit(kind):
    value = 1
    for _ in range(MAX_DEPTH + 3):
        value = kind([value])
    arrived = decode(encode(value))
    for _ in range(MAX_DEPTH):
        arrived = arrived[0]
    assert repr(arrived) == "<nested too deep>"
    whole = b"l\0\0\0\1" * (MAX_DEPTH + 1) + encode(1)
    with pytest.raises(ValueError, match="nested too deep"):
        decode(whole)


def test_what_is_too_large_is_opaque_as_a_whole():
    for value in ("a" * 996, b"a" * 996, 1 << 8 * 996, [1] * 200, "é" * 500):
        assert repr(decode(encode(value, max_bytes=1000))) == "<a value of over 1 MB>"
    assert decode(encode("a" * 995, max_bytes=1000)) == "a" * 995
    assert isinstance(decode(encode("a" * MAX_BYTES)), Opaque)


def test_a_value_in_itself_is_too_large():
    value = []
    value += [value, value]
    assert repr(decode(encode(value, max_bytes=1000))) == "<a value of over 1 MB>"


def test_forged_lengths_take_no_memory_and_no_time():
    start = time.monotonic()
    for tag in (b"l", b"s", b"d", b"u", b"i"):
        with pytest.raises(ValueError, match="malformed"):
            decode(tag + b"\xff\xff\xff\xff" + b"N\0\0\0\0")
    assert time.monotonic() - start < 1


def test_keys_of_one_hash_are_refused():
    keys = [i * (2**61 - 1) for i in range(1000)]
    with pytest.raises(ValueError, match="keys of one hash"):
        decode(encode(dict.fromkeys(keys)))
    with pytest.raises(ValueError, match="cannot be one"):
        decode(b"s\0\0\0\1" + encode([]))


def test_any_value_can_be_shown():
    assert show([1 << 20_000]) == "<list with a number of very many digits>"
    assert show(("a", 1)) == "('a', 1)"
