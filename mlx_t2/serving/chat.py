"""Bodies of chat completions → requests."""

from collections.abc import Mapping
from typing import Any

from .common_fields import (
    IGNORED,
    IGNORED_IN_CHAT,
    MOST_TOKENS,
    NEUTRAL,
    SERVED,
    build_configs,
    read_streaming,
)
from .fault import Fault
from .fields import Field, read_fields
from .messages import read_messages
from .order import Order
from .request import Request, Wear
from .shapes import ChatShape

FIELDS = (
    *SERVED,
    Field(
        name="messages",
        kind="list",
        is_required=True,
        is_nullable=False,
        check=read_messages,
    ),
    Field(name="max_completion_tokens", kind="integer", least=0, most=MOST_TOKENS),
    Field(name="logprobs", kind="boolean", default=False),
    Field(name="top_logprobs", kind="integer", least=0, most=20),
    *NEUTRAL,
    Field(name="response_format", kind="object", allowed=({"type": "text"},)),
    Field(name="tools", kind="list", allowed=([],)),
    Field(name="tool_choice", allowed=("none", "auto")),
    Field(name="functions", kind="list", allowed=([],)),
    Field(name="function_call", allowed=("none", "auto")),
    Field(name="modalities", kind="list", allowed=(["text"],)),
    Field(name="reasoning_effort", kind="string", allowed=("none",)),
    Field(name="verbosity", kind="string", allowed=("medium",)),
    Field(name="audio", kind="object", allowed=()),
    Field(name="prediction", kind="object", allowed=()),
    Field(name="moderation", kind="object", allowed=()),
    Field(name="web_search_options", kind="object", allowed=()),
    *IGNORED,
    *IGNORED_IN_CHAT,
)


def read_chat(
    body: Mapping[str, Any], wear: Wear, splits_thoughts: bool = True, may_think: bool = False
) -> Request:
    """The request.

    splits_thoughts: see HTTPConfig.
    may_think: see Backend.
    Raises: Fault that names the field at fault.
    """
    values = read_fields(body, FIELDS)
    if may_think and values["reasoning_effort"] is not None:
        raise Fault(
            "reasoning_effort: this model thinks before it answers and cannot be told not to, "
            "expected the field to be left out",
            "reasoning_effort",
            "unsupported_parameter",
        )
    top_logprobs = _read_top_logprobs(values)
    order = Order(
        messages=values["messages"],
        wear=wear(values["model"], values["mix"]),
        configs=build_configs(values),
        max_tokens=_read_max_tokens(values),
        stop=values["stop"],
        top_logprobs=top_logprobs,
    )
    return Request(
        model=values["model"],
        orders=(order,),
        shape=ChatShape(top_logprobs is not None, splits_thoughts),
        param="messages",
        is_streamed=values["stream"],
        has_usage=read_streaming(values),
    )


def _read_max_tokens(values: Mapping[str, Any]) -> int | None:
    old, new = values["max_tokens"], values["max_completion_tokens"]
    if None not in (old, new) and old != new:
        raise Fault(
            "max_completion_tokens: differs from max_tokens, expected one of them alone",
            "max_completion_tokens",
            "invalid_value",
        )
    return old if new is None else new


def _read_top_logprobs(values: Mapping[str, Any]) -> int | None:
    top = values["top_logprobs"]
    if not values["logprobs"]:
        if top:
            raise Fault(
                "top_logprobs: got some without logprobs, expected logprobs: true beside them",
                "top_logprobs",
                "invalid_value",
            )
        return None
    return top or 0
