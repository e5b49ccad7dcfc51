"""What is typed to keep conversations, write them elsewhere, and change the model."""

import json
from pathlib import Path

from mlx_t2.errors import ConfigError
from mlx_t2.files import find_kind, write_whole

from ..choice import label_choice
from ..render import facts, note
from .sessions import Session, session_names
from .talk import Chat

_SHOWN = 20
"""Sessions that are listed."""


def save(chat: Chat, name: str) -> None:
    """`/save [NAME]`."""
    session = Session(name or None) if name or chat.session is None else chat.session
    if name and session.exists() and (chat.session is None or chat.session.name != name):
        raise ConfigError(f"/save {name}: there is one already, expected another name")
    session.write(chat.conversation.turns)
    chat.session = session
    note(f"kept as {session.name}: t2 chat --session {session.name}")


def load(chat: Chat, name: str) -> None:
    """`/load [NAME]`."""
    if not name:
        names = session_names()[:_SHOWN]
        note("\n".join(names) if names else "no session is kept yet")
        return
    session = Session(name)
    if not session.exists():
        known = ", ".join(session_names()[:_SHOWN]) or "none is kept"
        raise ConfigError(f"session {name!r}: unknown, expected one of: {known}")
    resume(chat, session)


def resume(chat: Chat, session: Session, is_worn: bool = False) -> None:
    """Go on with a kept conversation, under what its last turn was asked under, unless it is
    worn already what it is to go on under.
    """
    turns = session.read()
    chat.start_over(None)
    chat.session = session
    chat.conversation.resume(turns)
    if not turns:
        return
    last = turns[-1]
    if last.model and last.model != chat.name:
        note(f"it was led with {last.model}, and goes on with {chat.name}")
    if not is_worn:
        chat.wear_or_go_without(last.worn)
    count = f"{len(turns)} turn{'s' * (len(turns) != 1)}"
    note(f"{session.name}: {count}; the last question was: {last.question}")


def export(chat: Chat, name: str) -> None:
    """`/export FILE`: by its ending Markdown, JSON messages, or JSON lines as kept."""
    writers = {".md": _as_markdown, ".json": _as_messages, ".jsonl": _as_lines}
    path = Path(name).expanduser() if name else Path()
    if path.suffix not in writers:
        raise ConfigError(f"/export {name}: expected a file that ends in {', '.join(writers)}")
    if find_kind(path) is not None:
        raise ConfigError(f"{path}: is there already, expected a new file")
    write_whole(path, writers[path.suffix](chat))
    note(f"written: {path}")


def _as_markdown(chat: Chat) -> str:
    conversation = chat.conversation
    parts = [f"> {conversation.system}"] if conversation.system else []
    for turn in conversation.turns:
        parts += [f"**{turn.question}**", turn.answer, f"*{label_choice(turn.worn)}*"]
    return "\n\n".join(parts) + "\n"


def _as_messages(chat: Chat) -> str:
    messages = chat.conversation.messages()
    return json.dumps({"messages": messages}, ensure_ascii=False, indent=2) + "\n"


def _as_lines(chat: Chat) -> str:
    entries = [turn.to_json() for turn in chat.conversation.turns]
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def show_model(chat: Chat, name: str) -> None:
    """`/model [NAME]`."""
    if name:
        chat.change_model(name)
    model = chat.model
    facts(
        "model",
        [
            ("name", model.name),
            ("loaded as", chat.name),
            ("layers that wear scales", f"{len(model.shapes)} ({model.targets or 'none yet'})"),
            ("worn", label_choice(chat.conversation.worn)),
        ],
    )
