"""Bodies of text completions → requests."""

from collections.abc import Mapping
from typing import Any

from .body import name_kind
from .common_fields import IGNORED, NEUTRAL, SERVED, build_configs, read_streaming
from .fault import Fault
from .fields import Field, check_kind, expect, read_fields
from .order import Order
from .request import Request, Wear
from .shapes import TextShape

Prompt = str | tuple[int, ...]
MOST_PROMPTS = 64
MOST_CHOICES = 128
_MOST_TOKENS = 2**20
_PROMPT = "a string, a list of strings, a list of token ids or a list of such lists"


def _read_prompts(where: str, found: Any) -> list[Prompt]:
    if isinstance(found, str):
        return [found]
    if not isinstance(found, list):
        raise expect(where, _PROMPT, name_kind(found))
    check_kind(where, found, "list", 1)
    if isinstance(found[0], int):
        return [_read_tokens(where, found)]
    check_kind(where, found, "list", 1, MOST_PROMPTS)
    if isinstance(found[0], list):
        return [_read_tokens(f"{where}.{at}", one) for at, one in enumerate(found)]
    for at, one in enumerate(found):
        check_kind(f"{where}.{at}", one, "string")
    return found


def _read_tokens(where: str, found: Any) -> tuple[int, ...]:
    check_kind(where, found, "list", 1, _MOST_TOKENS)
    for at, one in enumerate(found):
        check_kind(f"{where}.{at}", one, "integer", 0, 2**31 - 1)
    return tuple(found)


FIELDS = (
    *SERVED,
    Field(name="prompt", is_required=True, is_nullable=False, check=_read_prompts),
    Field(name="echo", kind="boolean", default=False),
    Field(name="logprobs", kind="integer", least=0, most=5),
    *NEUTRAL,
    Field(name="suffix", kind="string", allowed=("",)),
    Field(name="best_of", kind="integer", allowed=(1,)),
    *IGNORED,
)


def read_completion(body: Mapping[str, Any], wear: Wear) -> Request:
    """The request: an order for each prompt.

    Raises: Fault that names the field at fault.
    """
    values = read_fields(body, FIELDS)
    prompts, is_echoed = values["prompt"], values["echo"]
    if len(prompts) * values["n"] > MOST_CHOICES:
        raise Fault(
            f"n: got {len(prompts)} prompts of {values['n']} completions each, expected "
            f"{MOST_CHOICES} completions at most",
            "n",
            "invalid_value",
        )
    worn = wear(values["model"], values["mix"])
    orders = tuple(
        Order(
            text=prompt if isinstance(prompt, str) else None,
            tokens=() if isinstance(prompt, str) else prompt,
            wear=worn,
            configs=build_configs(values, at),
            max_tokens=values["max_tokens"],
            stop=values["stop"],
            top_logprobs=values["logprobs"],
            is_echoed=is_echoed,
        )
        for at, prompt in enumerate(prompts)
    )
    echoes = [order.text for order in orders] if is_echoed else None
    return Request(
        model=values["model"],
        orders=orders,
        shape=TextShape(values["logprobs"] is not None, echoes),
        param="prompt",
        is_streamed=values["stream"],
        has_usage=read_streaming(values),
    )
