"""One conversation from turn to turn: when what it wears changes."""

import doctest

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.adaptation import Chosen, Fixed, Mixed, Steady, Strategy, steady
from mlx_t2.adaptation.steady import stay_or_move
from mlx_t2.models import SVFModel

LABELS = ("kind", "largest", "other")
SURE = {"kind": 0.95, "largest": 0.0, "other": 0.05}
LIKELY = {"kind": 0.6, "largest": 0.1, "other": 0.3}
TORN = {"kind": 0.2, "largest": 0.7, "other": 0.1}
UNLIKELY = {"kind": 0.4, "largest": 0.1, "other": 0.5}


class Turning:
    """A router that says something else each time it is asked."""

    def __init__(self, *rows):
        self.labels, self.rows, self.threshold = LABELS, list(rows), 0.9
        self.model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
        self.read = []

    def posterior(self, conversations, read=()):
        self.read += [len(conversation) for conversation in conversations]
        return mx.array([list(self.rows.pop(0).values())])


def chat(turns):
    """A conversation of so many turns of the user."""
    said = [("user", "assistant")[i % 2] for i in range(2 * turns - 1)]
    return [{"role": role, "content": "x"} for role in said]


@pytest.fixture
def two(experts):
    return {name: experts[name] for name in ("kind", "largest")}


@pytest.mark.parametrize(
    ("worn", "scores", "expected"),
    [
        (None, SURE, "kind"),
        (None, LIKELY, "other"),
        ("other", LIKELY, "other"),  # to put an expert on takes the threshold
        ("kind", LIKELY, "kind"),  # to keep it does not
        ("kind", UNLIKELY, "other"),  # but it goes where other is more probable
        ("largest", LIKELY, "other"),  # no expert takes over in doubt, and none stays
        ("largest", SURE, "kind"),
        ("kind", TORN, "largest"),  # sure that an expert is meant
        ("gone", LIKELY, "other"),
    ],
)
def test_in_doubt_it_stays_with_what_it_has(worn, scores, expected):
    assert stay_or_move(scores, 0.9, worn) == expected


def test_each_turn_is_decided_on_the_whole_conversation(two):
    router = Turning(LIKELY, SURE, LIKELY, UNLIKELY, LIKELY)
    talk = Steady(Chosen("auto", router, two))
    assert isinstance(talk, Strategy)
    assert (talk.name, talk.is_fixed) == ("auto", False)
    labels = [talk.adapt([chat(turns)])[0].label for turns in range(1, 6)]
    assert labels == ["other", "kind", "kind", "other", "other"]
    assert router.read == [1, 3, 5, 7, 9]


def test_what_is_worn_is_what_a_single_request_would_wear(two):
    strategy = Chosen("auto", Turning(SURE, SURE), two)
    (held,), (alone,) = Steady(strategy).adapt([chat(1)]), strategy.adapt([chat(1)])
    assert held.scales is alone.scales is two["kind"].scales
    assert held.scores == alone.scores


def test_the_first_turn_decides_for_all(two):
    router = Turning(SURE, UNLIKELY)
    talk = Steady(Chosen("auto", router, two), "first")
    assert {talk.adapt([chat(turns)])[0].label for turns in (1, 2, 3)} == {"kind"}
    assert router.read == [1]


@pytest.mark.parametrize("every", ["first", "turn"])
def test_another_conversation_begins_anew(two, every):
    talk = Steady(Chosen("auto", Turning(SURE, LIKELY), two), every)
    assert talk.adapt([chat(1)])[0].label == "kind"
    begun = [{"role": "system", "content": "x"}, *chat(1)]
    assert talk.adapt([begun])[0].label == "other"


def test_a_mixture_is_mixed_anew_or_kept(two):
    for every, reads in (("turn", [1, 3]), ("first", [1])):
        router = Turning(SURE, TORN)
        talk = Steady(Mixed("mixture", router, two), every)
        shares = [dict(talk.adapt([chat(turns)])[0].coefficients) for turns in (1, 2)]
        assert (shares[0] == shares[1]) == (every == "first")
        assert router.read == reads


def test_a_strategy_without_a_router_is_as_it_was():
    assert Steady(Fixed.base()).adapt([chat(2)])[0].scales == {}


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(steady).failed == 0
