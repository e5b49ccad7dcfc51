"""Numbers: every spelling of a value is that value, exactly; what is not a number is none."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.grading import grade_number
from mlx_t2.grading.numbers import find_numbers, parse_number, show_fraction, spell

WHOLE = st.integers(-(10**12), 10**12)
SPELLINGS = [  # {0} the digits, {1} with commas
    *(
        "{0}",
        "{1}",
        "{0}.",
        "{0}.00",
        "${1}",
        "${1}$",
        r"\${1}",
        "{1} eggs",
        "{1} dollars per day",
    ),
    *("{1}%", r"{1}\%", "€{1}", "{0} €", "**{1}**", r"\text{{{1}}}", r"{1}\text{{ cm}}^2"),
    *("x = {0}", "({1})", "about {1}", "{0}/1", r"\frac{{{0}}}{{1}}", "{0}e0", " {1}\n"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=WHOLE)
def test_every_spelling_of_a_whole_number_is_its_value(spelling, value):
    text = spelling.format(value, f"{value:,}")
    number = parse_number(text)
    assert number is not None, text
    assert number.value == value


@given(WHOLE, st.sampled_from([",", "\u00a0", "\u202f", " ", r"\,", "{,}", r",\!"]))
def test_thousands_are_separated_by_commas_and_spaces(value, separator):
    number = parse_number(f"{value:,}".replace(",", separator))
    assert number is not None
    assert number.value == value


@given(WHOLE, st.integers(1, 10**6))
def test_fractions_are_exact(top, low):
    for text in (f"{top}/{low}", rf"\frac{{{top}}}{{{low}}}", rf"$\dfrac{{{top}}}{{{low}}}$"):
        number = parse_number(text)
        assert number is not None, text
        assert number.value == Fraction(top, low)


@given(WHOLE, st.integers(0, 6))
def test_decimals_are_exact_and_shown_as_they_are_read(digits, places):
    value = Fraction(digits, 10**places)
    assert (number := parse_number(show_fraction(value))) is not None
    assert number.value == value


@given(WHOLE, WHOLE)
def test_one_number_is_right_for_another_where_they_are_equal(got, expected):
    assert grade_number(f"The answer is {got:,}.", str(expected)).is_right == (got == expected)
    assert grade_number(f"It is {expected:,} eggs.", str(expected)).is_right


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1,23", "12,34,567", "1.234,56", "1.5.2", "--5", "+-5", "5x", "2x + 3"),
        *("10:30", r"\pm 5", "1/0", r"\frac{1}{0}", "2^3", "5²", "101_2", r"4\sqrt{2}", "nan"),
        *(r"5\pi", "inf", "1e999999", "9" * 401, "3 5", "1, 2", "3-5", "answer", "5 + 3"),
        "one apple",
    ],
)
def test_what_is_not_a_number_is_none(text):
    assert parse_number(text) is None


def test_numbers_in_a_sentence_are_found_in_order():
    text = spell("On the 2nd day, 1,200 of 10-5 cost −$3.50 (1/2 of $7) at 10:30.")
    found = [str(found.number) for found in find_numbers(text)]
    assert found == ["2", "1200", "10", "5", "-3.5", "0.5", "7"]
