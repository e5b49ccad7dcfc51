"""What is typed to see, choose and compare weights."""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mlx_t2.errors import ConfigError, T2Error

from ..choice import is_mixture, label_choice
from ..render import facts, note, say, table
from .columns import show_answers
from .footer import describe_turn
from .talk import Chat
from .votes import Vote, count_votes, read_answer, record
from .why import explain_turn

if TYPE_CHECKING:
    from mlx_t2.experts import Expert
    from mlx_t2.generation import Answer


def list_experts(chat: Chat, _: str) -> None:
    """`/experts`."""
    table(
        "experts",
        ("name", "trained on", "base → trained", "base model", "auto", ""),
        [
            (e.name, e.task, _format_scores(e.metrics), e.base_model, is_chosen, worn)
            for e, is_chosen, worn in _list_chosen(chat)
        ],
    )


def _list_chosen(chat: Chat) -> "Iterator[tuple[Expert, str, str]]":
    """Each expert, whether `auto` chooses from it, too, and a mark for the one that is worn."""
    from mlx_t2.adaptation import is_known
    from mlx_t2.experts import open_library

    library = open_library(chat.wardrobe.folder)
    for expert in chat.find_experts():
        is_chosen = "yes" if is_known(library, expert) else "no"
        yield expert, is_chosen, "worn" if expert.name == chat.conversation.worn else ""


def _format_scores(metrics: dict) -> str:
    for before, after in (
        ("base_accuracy", "final_accuracy"),
        ("base_validation", "best_validation"),
    ):
        if before in metrics and after in metrics:
            return f"{100 * metrics[before]:.0f} → {100 * metrics[after]:.0f} %"
    return ""


def wear_expert(chat: Chat, word: str) -> None:
    """`/expert WORD`."""
    if word:
        chat.wear(word)
    names = ", ".join(expert.name for expert in chat.find_experts()) or "no expert here"
    worn = f"worn: {label_choice(chat.conversation.worn)}"
    note(worn if word else f"{worn}. There are auto, off, {names}, and mixtures of them")


def wear_mixture(chat: Chat, terms: str) -> None:
    """`/mix TERMS`."""
    if not terms:
        raise ConfigError("/mix: got no terms, expected some: /mix largest=0.6,kind=0.4")
    if not any(sign in terms for sign in "=+*"):
        raise ConfigError(
            f"/mix: got {terms!r}, expected NAME=NUMBER, as in largest=0.6,kind=0.4"
        )
    wear_expert(chat, "".join(terms.split()))


def explain(chat: Chat, _: str) -> None:
    """`/why`."""
    turn = chat.conversation.last
    if turn is None:
        say("nothing has been answered yet")
    else:
        facts("the last answer", explain_turn(chat, turn))


# Two answers at once


def compare(chat: Chat, rest: str) -> None:
    """`/compare [A B] [QUESTION]`."""
    words, question = _read_pair(chat, rest)
    answers = _answer_all(chat, words, [label_choice(w) for w in words], question)
    for word, answer in zip(words, answers, strict=True):
        if answer is not None:
            note(describe_turn(chat.make_turn(question, answer, word)))


def compare_blind(chat: Chat, rest: str) -> None:
    """`/blind [A B] [QUESTION]`: the next line is the vote."""
    words, question = _read_pair(chat, rest)
    random.shuffle(words)
    answers = _answer_all(chat, words, ["1", "2"], question)
    if None in answers:
        return
    vote = Vote(words[0], words[1], chat.name)
    note("which is better? 1, 2, or = for even; anything else leaves it open")

    def take(line: str) -> None:
        preferred = read_answer(line)
        labels = [label_choice(word) for word in words]
        say(f"1 is {labels[0]}, 2 is {labels[1]}")
        if preferred is None:
            note("no vote was counted")
            return
        chat.votes.append(vote.cast(preferred))
        if chat.session is not None:
            record(vote.cast(preferred))
        note(count_votes(chat.votes, words))

    chat.answer_next = take


def _answer_all(
    chat: Chat, words: Sequence[str], titles: Sequence[str], question: str
) -> "list[Answer | None]":
    """The answers of all, shown under these titles. The conversation stays as it is."""
    from mlx_t2.generation import SideBySide

    strategies = chat.open_all(words)
    messages = chat.conversation.messages(question)
    both = SideBySide(chat.model, strategies, messages, chat.next_sampling())
    with suppress(KeyboardInterrupt):
        show_answers([f"── {title} ──" for title in titles], both)
    both.close()
    return both.answers


def _read_pair(chat: Chat, rest: str) -> tuple[list[str], str]:
    """The two words, and the question: the last one, where none is given. It is asked under
    what was said before it.
    """
    given = rest.split(maxsplit=2)
    if len(given) >= 2 and all(_is_word(chat, word) for word in given[:2]):
        words, question = given[:2], "".join(given[2:])
    else:
        worn = chat.conversation.worn
        words, question = [worn, "off" if worn not in ("off", "none") else "auto"], rest
    if words[0] == words[1]:
        raise ConfigError(f"compare: got {words[0]!r} twice, expected two that differ")
    if question:
        return words, question
    last = chat.conversation.last
    if last is None:
        raise ConfigError(
            "compare: nothing has been asked yet, expected a question: /compare A B QUESTION"
        )
    return words, last.question


def _is_word(chat: Chat, word: str) -> bool:
    from mlx_t2.adaptation import ADAPTATIONS
    from mlx_t2.experts import open_library

    if word in ADAPTATIONS or is_mixture(word) or "*" in word:
        return True
    with suppress(T2Error):
        open_library(chat.wardrobe.folder).find(word)
        return True
    return False
