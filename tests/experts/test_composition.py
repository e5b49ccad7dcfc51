"""Experts written as a sum."""

from contextlib import suppress
from itertools import permutations

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError, T2Error
from mlx_t2.experts import Library, parse_composition

KNOWN = {"a", "b", "c", "arc-easy", "arc", "a+b+c", "x-1"}


def parse(text):
    return parse_composition(text, KNOWN.__contains__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", {"a": 1}),
        ("a+b", {"a": 1, "b": 1}),
        ("b + a", {"a": 1, "b": 1}),
        ("0.5*a", {"a": 0.5}),
        ("-a", {"a": -1}),
        ("- 2 * a + .5*b", {"a": -2, "b": 0.5}),
        ("a - 0.3*b", {"a": 1, "b": -0.3}),
        ("a-b", {"a": 1, "b": -1}),
        ("1e-3*a+2E+1*b", {"a": 1e-3, "b": 20}),
        ("0*a", {"a": 0}),
        ("arc-easy", {"arc-easy": 1}),
        ("arc-easy-b", {"arc-easy": 1, "b": -1}),
        ("-arc-easy+arc", {"arc-easy": -1, "arc": 1}),
        ("a+b+c", {"a+b+c": 1}),  # there is one of that name
        ("0.5*a+b+c", {"a+b+c": 0.5}),
        ("c+a+b", {"a": 1, "b": 1, "c": 1}),
        ("x-1-a", {"x-1": 1, "a": -1}),
        ("a - nobody", {"a": 1, "nobody": -1}),  # `find` will refuse it
        ("no-body", {"no-body": 1}),  # nothing in it is a name
        ("", {"": 1}),
    ],
)
def test_a_sum_is_read_term_by_term(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a+", r"expert 'a\+': got '\+', expected a sum of experts"),
        ("a++b", "expected a sum of experts"),
        ("2*", "expected a sum of experts"),
        ("1..5*a", r"got 1\.\.5\*, expected a finite number"),
        ("1e999*a", r"got 1e999\*, expected a finite number"),
        ("a+a", "got 'a' twice, expected each expert once"),
    ],
)
def test_what_is_no_sum_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as refused:
        parse(text)
    assert "\n" not in str(refused.value)


@given(st.text(alphabet="ab+-*. 019e\n", max_size=12))
def test_any_text_is_a_sum_or_refused(text):
    with suppress(T2Error):
        assert parse(text)


def test_the_order_of_terms_changes_no_bit(make_expert):
    experts = {name: make_expert(seed, name=name) for seed, name in enumerate("abc")}
    worn = []
    for terms in permutations(["+0.1*a", "+0.7*b", "-0.3*c"]):
        coefficients = parse("".join(terms))
        worn.append(Fixed.mixture(experts, coefficients).adapted.scales)
    for scales in worn:
        assert scales.keys() == worn[0].keys()
        assert all(mx.array_equal(z, worn[0][path]) for path, z in scales.items())


def test_a_library_reads_names_and_files(tmp_path, make_expert, monkeypatch):
    make_expert(0).save(tmp_path / "my-own.safetensors")
    (tmp_path / "run-1").mkdir()
    make_expert(1).save(tmp_path / "run-1" / "expert.safetensors")
    monkeypatch.chdir(tmp_path)
    library = Library(tmp_path, bundled=None)
    assert library.parse("my-own") == {"my-own": 1}
    file = "run-1/expert.safetensors"
    assert library.parse(f"0.5*{file} - my-own") == {file: 0.5, "my-own": -1}
    assert library.find(file).name == "run-1"
