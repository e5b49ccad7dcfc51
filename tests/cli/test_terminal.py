"""Text from outside on a terminal: no control passes, no word breaks, no character is lost."""

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_t2_cli import terminal
from mlx_t2_cli.terminal import LineBreaker, break_lines, measure, visible

TEXT = st.text(st.sampled_from("ab \n\t\r字é\x1b") | st.characters(codec="utf-8"), max_size=80)


def test_the_examples_are_true():
    assert doctest.testmod(terminal).failed == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9d8;;x\x9c", r"\x9d8;;x\x9c"),
        ("a\rb\r\n", "a\\rb\r\n"),
        ("\x00\x07\x08\x0b\x0c\x7f", r"\x00\x07\x08\x0b\x0c\x7f"),
        ("\u202e\u2066\udcff", r"\u202e\u2066\udcff"),
        ("שלום\u200f, é 字 \t 👍🏽\n", "שלום\u200f, é 字 \t 👍🏽\n"),
    ],
)
def test_controls_are_shown_and_writing_is_left_alone(text, shown):
    assert visible(text) == shown


@given(TEXT, st.integers(1, 20), st.lists(st.integers(0, 80), max_size=6))
def test_pieces_are_broken_as_the_whole(text, width, cuts):
    breaker, places = LineBreaker(width), sorted({0, *cuts, len(text)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    shown = "".join(map(breaker.feed, pieces)) + breaker.finish()
    assert "".join(shown.split()) == "".join(visible(text).split())


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), st.integers(9, 30))
def test_words_that_fit_a_line_are_never_broken(words, width):
    lines = break_lines(" ".join(words), width).split("\n")
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= width for line in lines)


def test_a_word_longer_than_a_line_stays_one():
    assert break_lines("see /a/very/long/path", 8) == "see \n/a/very/long/path"


def test_scripts_without_spaces_are_shown_as_they_arrive():
    breaker = LineBreaker(10)
    assert breaker.feed("汉字汉字汉字") == "汉字汉字汉\n字"
    assert measure("汉é\u0301") == 3
