"""What is typed to change, repeat and look at turns."""

from mlx_t2.errors import ConfigError

from ..render import facts, note, say
from .footer import count_turns
from .settings import SETTINGS, change_setting
from .talk import Chat


def retry(chat: Chat, word: str) -> None:
    """`/retry [WORD]`."""
    if chat.conversation.last is None:
        raise ConfigError("/retry: nothing has been asked yet, expected a question before")
    if word:
        chat.wear(word)
    taken = chat.conversation.take_back()
    assert taken is not None
    settings = chat.conversation.settings.sampling
    if taken.worn == chat.conversation.worn and settings.temperature == 0:
        note("at temperature 0 an answer is always the same: /set temperature 0.7")
    if not chat.ask(taken.question):
        chat.conversation.turns.append(taken)


def undo(chat: Chat, _: str) -> None:
    """`/undo`."""
    taken = chat.conversation.take_back()
    if taken is None:
        raise ConfigError("/undo: nothing has been asked yet, expected a turn before")
    chat.keep()
    note(f"forgotten: {_shorten(taken.question)}")


def edit(chat: Chat, text: str) -> None:
    """`/edit [TEXT]`."""
    last = chat.conversation.last
    if last is None:
        raise ConfigError("/edit: nothing has been asked yet, expected a question before")
    if not text and not chat.can_edit:
        raise ConfigError("/edit: got no text, expected the question as it should have been")
    taken = chat.conversation.take_back()
    assert taken is not None
    if not text:
        chat.conversation.draft = taken.question
        chat.keep()
    elif not chat.ask(text):
        chat.conversation.turns.append(taken)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "…"


def begin_under(chat: Chat, text: str) -> None:
    """`/system [TEXT]`."""
    chat.start_over(text)
    note("begun anew, under this system message" if text else "begun anew, without one")


def reset(chat: Chat, _: str) -> None:
    """`/reset`."""
    chat.start_over(None)


def change(chat: Chat, rest: str) -> None:
    """`/set [NAME VALUE]`."""
    name, _, value = rest.partition(" ")
    conversation = chat.conversation
    if value.strip():
        conversation.settings = change_setting(conversation.settings, name, value.strip())
        say(f"{name} = {SETTINGS[name.replace('_', '-')].get(conversation.settings)}")
    elif name and name.replace("_", "-") not in SETTINGS:
        raise ConfigError(f"/set {name}: unknown, expected one of {', '.join(SETTINGS)}")
    else:
        chosen = [name.replace("_", "-")] if name else list(SETTINGS)
        shown = [(n, SETTINGS[n].get(conversation.settings), SETTINGS[n].help) for n in chosen]
        facts("/set NAME VALUE", [(n, f"{value:6} {text}") for n, value, text in shown])


def show_stats(chat: Chat, _: str) -> None:
    """`/stats`."""
    if chat.conversation.last is None:
        say("nothing has been answered yet")
    else:
        facts("the last answer, and all", count_turns(chat.conversation.turns))
