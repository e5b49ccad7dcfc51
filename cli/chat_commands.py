"""What can be typed into the chat besides questions: each command once, in one table."""

from collections.abc import Callable
from dataclasses import dataclass

from .conversation import Chat
from .generate import describe_route
from .render import facts, say, table


@dataclass(frozen=True)
class Command:
    """One line of /help, and what it does."""

    usage: str
    """What follows the command's name."""
    help: str
    run: Callable[[Chat, str], None]
    """Takes the conversation and the rest of the line."""


def _wear_expert(chat: Chat, name: str) -> None:
    if name in ("auto", "off", ""):
        chat.choose(adapt="off" if name == "off" else "auto")
    else:
        chat.choose(expert=name)


def _list_experts(chat: Chat, _: str) -> None:
    from mlx_t2.experts import open_library

    table(
        "experts",
        ("name", "trained on", "base model"),
        [(e.name, e.task, e.base_model) for e, _ in open_library(chat.folder).experts()],
    )


def _explain(chat: Chat, _: str) -> None:
    if chat.answer is None:
        say("nothing has been answered yet")
        return
    say(describe_route(chat.answer))
    scores = sorted(chat.answer.route.scores.items(), key=lambda pair: -pair[1])
    if scores:
        facts("scores of the first pass", [(label, f"{p:.3f}") for label, p in scores])


def _show_stats(chat: Chat, _: str) -> None:
    answer = chat.answer
    if answer is None:
        say("nothing has been answered yet")
        return
    route, seconds = answer.route, answer.route.second_pass_ms / 1000
    speed = answer.completion_tokens / seconds if seconds else 0.0
    facts(
        "last answer",
        (
            ("prompt", f"{answer.prompt_tokens} tokens"),
            ("answer", f"{answer.completion_tokens} tokens"),
            ("speed", f"{speed:.1f} tokens per second"),
            ("first pass", f"{route.first_pass_ms:.0f} ms"),
            ("first token", f"after {route.first_token_ms:.0f} ms"),
            ("ended by", answer.finish_reason),
        ),
    )


def _begin_anew(chat: Chat, system: str) -> None:
    chat.messages = [{"role": "system", "content": system}] if system else []


def _reset(chat: Chat, _: str) -> None:
    chat.messages = [message for message in chat.messages if message["role"] == "system"]


def _show_help(chat: Chat, _: str) -> None:
    lines = [(f"{name} {command.usage}", command.help) for name, command in COMMANDS.items()]
    facts("commands", lines)


def _leave(chat: Chat, _: str) -> None:
    chat.is_over = True


COMMANDS = {
    "/expert": Command(
        "NAME",
        "wear one expert, or a sum, a+0.5*b; `auto` chooses for each question, `off` is the "
        "base model",
        _wear_expert,
    ),
    "/experts": Command("", "list the experts", _list_experts),
    "/why": Command("", "how the scales of the last answer were found", _explain),
    "/stats": Command("", "tokens and times of the last answer", _show_stats),
    "/system": Command("TEXT", "begin anew under this system message", _begin_anew),
    "/reset": Command("", "forget the conversation", _reset),
    "/help": Command("", "this list", _show_help),
    "/exit": Command("", "leave; Ctrl-D does too. Ctrl-C stops an answer", _leave),
    "/quit": Command("", "the same", _leave),
}
"""{name: command}, in the order of /help."""
