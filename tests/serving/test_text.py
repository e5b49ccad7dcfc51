"""Text out of tokens: every way to cut it into pieces gives the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlx_t2.serving import TokenScore
from mlx_t2.serving.text import AnswerText, Characters, StopCut

TEXTS = st.text(alphabet="abé€😀 \n", max_size=24)
STOPS = st.lists(st.text(alphabet="abé€", min_size=1, max_size=4), max_size=3)


def cut_whole(text: str, stops) -> str:
    """Up to the stop that is complete first."""
    found = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    return text[: min(found)[1]] if found else text


def pieces_of(text, cuts):
    places = sorted({0, len(text), *(c % (len(text) + 1) for c in cuts)})
    return [text[a:b] for a, b in pairwise(places)]


@given(TEXTS, STOPS, st.lists(st.integers(0, 99), max_size=8))
def test_a_stop_cuts_the_text_alike_however_it_is_cut_into_pieces(text, stops, cuts):
    cut = StopCut(stops)
    got = "".join(cut.feed(piece) for piece in pieces_of(text, cuts))
    assert got + cut.finish() == cut_whole(text, stops)
    assert cut.is_stopped is any(stop in text for stop in stops)


@given(TEXTS, STOPS)
def test_no_more_is_held_back_than_may_become_a_stop(text, stops):
    cut, sent = StopCut(stops), ""
    for sign in text:
        sent += cut.feed(sign)
        if cut.is_stopped:
            return
    held = text[len(sent) :]
    assert not held or any(stop.startswith(held) for stop in stops)


def test_a_stop_over_the_border_of_two_pieces_is_found():
    cut = StopCut(["END"])
    assert [cut.feed(piece) for piece in ("hello E", "N", "D world")] == ["hello ", "", ""]
    assert cut.is_stopped
    assert cut.feed("more") == cut.finish() == ""


def test_what_looked_like_a_stop_and_was_none_is_given_out():
    cut = StopCut(["END", "ENTER"])
    assert [cut.feed(p) for p in ("EN", "ENT", "O")] == ["", "EN", "ENTO"]


def of_bytes(tokens) -> str:
    return bytes(tokens).decode("utf-8", "replace")


@given(TEXTS)
def test_characters_of_several_tokens_come_whole(text):
    characters = Characters(of_bytes)
    got = [characters.take(byte) for byte in text.encode()]
    assert "\ufffd" not in "".join(got)
    assert "".join(got) == text
    assert characters.finish() == ""


@given(st.binary(max_size=60))
def test_whatever_the_bytes_all_of_their_text_comes_in_the_end(raw):
    characters = Characters(of_bytes)
    got = "".join(characters.take(byte) for byte in raw)
    assert got + characters.finish() == of_bytes(raw)


def test_a_character_that_is_never_completed_comes_at_the_end():
    characters = Characters(of_bytes)
    assert [characters.take(byte) for byte in "a€".encode()[:-1]] == ["a", "", ""]
    assert characters.finish() == "\ufffd"


def test_old_tokens_are_not_decoded_again_and_again():
    seen = []

    def decode(tokens):
        seen.append(len(tokens))
        return of_bytes(tokens)

    characters = Characters(decode)
    assert "".join(characters.take(ord("a")) for _ in range(500)) == "a" * 500
    assert max(seen) <= 16


def score(token) -> TokenScore:
    return TokenScore(token, chr(token), bytes([token]), -1.0)


def test_scores_come_with_their_text_and_none_from_behind_a_stop():
    text = AnswerText(of_bytes, ["yz"])
    got = [text.take(byte, score(byte)) for byte in b"axyz!"]
    assert [said for said, _ in got] == ["a", "x", "", "", ""]
    assert [[s.id for s in scores] for _, scores in got] == [[97], [120], [], [], []]
    assert text.finish() == ("", [])
    assert text.is_stopped


def test_scores_that_were_held_back_come_at_the_end():
    text = AnswerText(of_bytes, ["yz"])
    raw = "y€".encode()
    got = [text.take(byte, score(byte)) for byte in raw[:-1]]
    assert [said for said, _ in got] == ["", "", ""]
    said, scores = text.finish()
    assert said == "y\ufffd"
    assert [s.id for s in scores] == list(raw[:-1])
