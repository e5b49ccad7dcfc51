"""What can be typed besides questions: each command once, in one table, from which `/help` and
Tab are made.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..render import facts
from .file_commands import export, load, save, show_model
from .sessions import session_names
from .settings import SETTINGS
from .talk import Chat
from .turn_commands import begin_under, change, edit, reset, retry, show_stats, undo
from .weight_commands import (
    compare,
    compare_blind,
    explain,
    list_experts,
    wear_expert,
    wear_mixture,
)

Words = Iterable[tuple[str, str]]
"""What Tab offers, and what is said of each."""


def _offer_nothing(_: Chat) -> Words:
    return ()


@dataclass(frozen=True)
class Command:
    """One line of /help, and what it does."""

    usage: str
    """What follows the command's name."""
    help: str
    run: Callable[[Chat, str], None]
    """Takes the chat and the rest of the line. Raises T2Error for what cannot be done."""
    offer: Callable[[Chat], Words] = _offer_nothing
    """What Tab offers behind the command's name."""


def _offer_experts(chat: Chat) -> Words:
    yield from ((expert.name, expert.task) for expert in chat.find_experts())


def _offer_words(chat: Chat) -> Words:
    yield "auto", "chosen for each question"
    yield "off", "the base model"
    yield from _offer_experts(chat)


def _offer_settings(chat: Chat) -> Words:
    settings = chat.conversation.settings
    yield from ((name, f"now {setting.get(settings)}") for name, setting in SETTINGS.items())


def _offer_sessions(_: Chat) -> Words:
    yield from ((name, "") for name in session_names())


def _show_help(_: Chat, __: str) -> None:
    rows = [(f"{name} {command.usage}", command.help) for name, command in COMMANDS.items()]
    facts("commands", rows)
    facts("keys", KEYS)


def _leave(chat: Chat, _: str) -> None:
    chat.is_over = True


KEYS = (
    ("Enter", "sends; Alt-Enter begins a new line"),
    ('"""', "opens a text of several lines, and ends it"),
    ("Tab", "completes commands, experts, settings and sessions"),
    ("Ctrl-C", "stops an answer, which is kept; clears the line"),
    ("Ctrl-D", "leaves"),
    ("//", "begins a question that begins with a slash"),
)

COMMANDS = {
    "/expert": Command(
        "WORD",
        "wear an expert or a mixture; `auto` chooses for each question, `off` is the base",
        wear_expert,
        _offer_words,
    ),
    "/experts": Command("", "list the experts", list_experts),
    "/mix": Command("A=0.6,B=0.4", "wear a mixture", wear_mixture, _offer_experts),
    "/why": Command("", "how the weights of the last answer were found", explain),
    "/compare": Command(
        "[A B] [QUESTION]",
        "two answers at once; off beside what is worn",
        compare,
        _offer_words,
    ),
    "/blind": Command(
        "[A B] [QUESTION]",
        "the same without names, until you vote",
        compare_blind,
        _offer_words,
    ),
    "/retry": Command("[WORD]", "answer the last question again", retry, _offer_words),
    "/undo": Command("", "forget the last question and its answer", undo),
    "/edit": Command("[TEXT]", "ask the last question otherwise", edit),
    "/system": Command("[TEXT]", "begin anew under this system message", begin_under),
    "/reset": Command("", "forget the conversation", reset),
    "/set": Command("[NAME VALUE]", "how answers are drawn and shown", change, _offer_settings),
    "/stats": Command("", "tokens and times", show_stats),
    "/save": Command("[NAME]", "keep the conversation under this name", save),
    "/load": Command("[NAME]", "go on with one that was kept", load, _offer_sessions),
    "/export": Command("FILE", "write it as .md, .json or .jsonl", export),
    "/model": Command("[NAME]", "the model; or go on with another", show_model),
    "/help": Command("", "this list", _show_help),
    "/exit": Command("", "leave", _leave),
    "/quit": Command("", "the same", _leave),
}
"""{name: command}, in the order of /help."""


def offer_words(chat: Chat, before: str) -> list[tuple[str, str]]:
    """What may stand where the cursor is: (word, what is said of it) for each that begins as
    what is typed there does. Behind the last `,` or `+` of a mixture it is another expert.
    """
    command, space, rest = before.lstrip().partition(" ")
    if not command.startswith("/"):
        return []
    if not space:
        return [(n, c.help) for n, c in COMMANDS.items() if n.startswith(command)]
    if command not in COMMANDS:
        return []
    typed = typed_part(rest)
    offered = COMMANDS[command].offer(chat)
    return [(word, said) for word, said in offered if word.startswith(typed)]


def typed_part(text: str) -> str:
    """The word at the end that is being typed.

    >>> typed_part("largest=0.5,ki"), typed_part("auto "), typed_part("a b")
    ('ki', '', 'b')
    """
    for sign in " ,+*":
        text = text.rpartition(sign)[2]
    return text
