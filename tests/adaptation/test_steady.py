"""One conversation from turn to turn: when what it wears changes."""

import doctest

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.adaptation import Chosen, Fixed, Mixed, Steady, Strategy, steady
from mlx_t2.adaptation.steady import last_message, weigh_last
from mlx_t2.models import SVFModel

LABELS = ("kind", "largest", "other")
SURE = {"kind": 0.95, "largest": 0.0, "other": 0.05}
LIKELY = {"kind": 0.6, "largest": 0.1, "other": 0.3}
TORN = {"kind": 0.2, "largest": 0.75, "other": 0.05}
SURE_OF_LARGEST = {"kind": 0.0, "largest": 0.95, "other": 0.05}
ORDINARY = {"kind": 0.01, "largest": 0.01, "other": 0.98}
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
    ("first", "second", "alone", "expected"),
    [
        (UNLIKELY, LIKELY, None, "other"),  # to put an expert on takes the threshold
        (SURE, LIKELY, LIKELY, "kind"),  # to keep it does not
        (SURE, LIKELY, UNLIKELY, "kind"),  # a follow-up says little by itself
        (SURE, LIKELY, ORDINARY, "other"),  # thanks are no follow-up
        (SURE, LIKELY, {"kind": 0.2, "largest": 0.0, "other": 0.8}, "kind"),  # 0.54
        (SURE, LIKELY, {"kind": 0.1, "largest": 0.0, "other": 0.9}, "kind"),  # 0.44
        (SURE, LIKELY, {"kind": 0.05, "largest": 0.0, "other": 0.95}, "other"),  # 0.35
        (SURE, SURE, ORDINARY, "kind"),  # the conversation leaves no doubt
        (SURE, UNLIKELY, None, "other"),  # it goes where other is more probable
        (SURE_OF_LARGEST, LIKELY, None, "other"),  # nothing takes over in doubt, or stays
        (SURE_OF_LARGEST, SURE, None, "kind"),
        (SURE, TORN, None, "largest"),  # sure that an expert is meant
    ],
)
def test_in_doubt_it_stays_with_what_it_has(two, first, second, alone, expected):
    router = Turning(first, second, *([alone] if alone else []))
    talk = Steady(Chosen("auto", router, two))
    talk.adapt([chat(1)])
    (adapted,) = talk.adapt([chat(2)])
    assert adapted.label == expected
    assert router.read == ([1, 3, 1] if alone else [1, 3])  # the last message, where it counts
    assert router.rows == []
    if alone:  # what is shown is what was decided on
        assert (adapted.scores["other"] > 0.6) == (expected == "other")


def test_two_posteriors_make_one():
    weighed = weigh_last(TORN, UNLIKELY)
    odds = 19 * 1**0.5  # 0.95 to 0.05, and even
    assert weighed["other"] == pytest.approx(1 / (1 + odds))
    assert sum(weighed.values()) == pytest.approx(1)
    assert weighed["largest"] / weighed["kind"] == pytest.approx(0.75 / 0.2)
    certain = {"kind": 1.0, "largest": 0.0, "other": 0.0}
    assert weigh_last(certain, {**certain, "kind": 0.0, "other": 1.0})["kind"] > 0.99


def test_the_last_message_keeps_its_system_message():
    system = {"role": "system", "content": "be brief"}
    assert last_message([system, *chat(2)]) == [system, chat(1)[0]]


def test_each_turn_is_decided_on_the_whole_conversation(two):
    router = Turning(LIKELY, SURE, LIKELY, LIKELY, UNLIKELY, LIKELY)
    talk = Steady(Chosen("auto", router, two))
    assert isinstance(talk, Strategy)
    assert (talk.name, talk.is_fixed) == ("auto", False)
    labels = [talk.adapt([chat(turns)])[0].label for turns in range(1, 6)]
    assert labels == ["other", "kind", "kind", "other", "other"]
    assert router.read == [1, 3, 5, 1, 7, 9]


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
