"""A conversation as a client sends it → messages of texts, as templates take them.

Roles are system (or developer), user and assistant. A content is a text or a list of text
parts, which are joined by line breaks. Images, sounds, files and calls of tools would change
the answer and are refused. Fetches nothing. Knows no templates.
"""

from typing import Any

from .body import name_kind
from .fault import Fault
from .fields import Field, check_kind, expect, read_fields

MOST_MESSAGES = 4096
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_TEXT = (
    Field(name="role", kind="string", is_required=True, is_nullable=False),
    Field(name="content"),
    Field(name="name", kind="string"),
)
_ASSISTANT = (
    *_TEXT,
    Field(name="refusal", kind="string"),
    Field(name="annotations", kind="list"),
    Field(name="reasoning_content", kind="string"),
    Field(name="audio", allowed=()),
    Field(name="function_call", allowed=()),
    Field(name="tool_calls", allowed=([],)),
)
_PART = (
    Field(name="type", kind="string", is_required=True, is_nullable=False),
    Field(name="text", kind="string", is_required=True, is_nullable=False),
    Field(name="prompt_cache_breakpoint", kind="object"),
)


def read_messages(where: str, found: Any) -> list[dict[str, str]]:
    """The conversation.

    Raises: Fault that names the message and its field.
    """
    check_kind(where, found, "list", 1, MOST_MESSAGES)
    return [_read_message(f"{where}.{at}", one) for at, one in enumerate(found)]


def _read_message(where: str, found: Any) -> dict[str, str]:
    check_kind(where, found, "object")
    role = found.get("role")
    check_kind(f"{where}.role", role, "string")
    if role not in _ROLES:
        raise Fault(
            f"{where}.role: not a role that is served, expected one of {', '.join(_ROLES)}",
            f"{where}.role",
            "unsupported_value",
        )
    fields = _ASSISTANT if role == "assistant" else _TEXT
    content = read_fields(found, fields, f"{where}.")["content"]
    return {"role": _ROLES[role], "content": _read_content(f"{where}.content", content)}


def _read_content(where: str, found: Any) -> str:
    if isinstance(found, str):
        return found
    if not isinstance(found, list):
        raise expect(where, "a string or a list of parts", name_kind(found))
    check_kind(where, found, "list", 1, MOST_MESSAGES)
    return "\n".join(_read_part(f"{where}.{at}", part) for at, part in enumerate(found))


def _read_part(where: str, found: Any) -> str:
    check_kind(where, found, "object")
    kind = found.get("type")
    check_kind(f"{where}.type", kind, "string")
    if kind != "text":
        raise Fault(
            f"{where}.type: not a part that is served, expected text",
            f"{where}.type",
            "unsupported_value",
        )
    return read_fields(found, _PART, f"{where}.")["text"]
