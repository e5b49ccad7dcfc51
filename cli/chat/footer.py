"""One dim line behind each answer, and what `/stats` says. Knows turns; prints nothing."""

from collections.abc import Mapping

from ..choice import label_choice
from .conversation import Turn


def describe_turn(turn: Turn) -> str:
    """Route and confidence, tokens that were read, times, and whether the answer was cut.

    >>> describe_turn(Turn("q", "a", "off", read_tokens=9, prompt_tokens=30,
    ...     completion_tokens=11, finish_reason="length", first_token_s=0.5, seconds=1.5))
    'off · 9 of 30 tokens to read · first token 0.50 s · 10.0 tokens/s · cut at 11 tokens'
    """
    parts = [describe_route(turn)]
    if (form := turn.route.get("form", "live")) != "live":
        parts.append(form)
    if turn.read_tokens < turn.prompt_tokens:
        parts.append(f"{turn.read_tokens} of {turn.prompt_tokens} tokens to read")
    else:
        parts.append(f"{turn.prompt_tokens} tokens to read")
    if turn.completion_tokens:
        parts.append(f"first token {turn.first_token_s:.2f} s")
    if turn.tokens_per_second:
        parts.append(f"{turn.tokens_per_second:.1f} tokens/s")
    if turn.finish_reason == "length":
        parts.append(f"cut at {turn.completion_tokens} tokens")
    elif turn.finish_reason == "interrupted":
        parts.append("stopped")
    return " · ".join(parts)


def describe_route(turn: Turn) -> str:
    """What was asked for, and what it led to where that was chosen.

    >>> route = {"label": "kind", "confidence": 0.9812, "weights": {"kind": 1.0}}
    >>> describe_route(Turn("q", "a", "auto", route=route))
    'auto → kind 0.98'
    """
    asked, route = label_choice(turn.worn), turn.route
    confidence = route.get("confidence")
    if confidence is not None:
        label = route.get("label")
        chosen = "base" if label == "other" else label
        return f"{asked} → {chosen} {confidence:.2f}"
    weights = counting(route.get("weights", {}))
    if not turn.scores:
        return asked
    mixed = "+".join(f"{name}·{share:.2f}" for name, share in weights.items())
    return f"{asked} → {mixed or 'base'}"


def counting(weights: Mapping[str, float]) -> dict[str, float]:
    """The coefficients that are not about 0."""
    return {name: share for name, share in weights.items() if abs(share) > 0.005}


def count_turns(turns: list[Turn]) -> list[tuple[str, str]]:
    """Names and values for `/stats`: the last answer, then all of them."""
    last = turns[-1]
    return [
        ("prompt", f"{last.prompt_tokens} tokens"),
        ("read for it", f"{last.read_tokens} tokens"),
        ("answer", f"{last.completion_tokens} tokens"),
        ("first token", f"after {last.first_token_s:.2f} s"),
        ("speed", f"{last.tokens_per_second:.1f} tokens per second"),
        ("scales", last.route.get("form", "live")),
        ("ended by", last.finish_reason),
        ("turns", f"{len(turns)}"),
        ("all answers", f"{sum(turn.completion_tokens for turn in turns)} tokens"),
        ("all that was read", f"{sum(turn.read_tokens for turn in turns)} tokens"),
        ("all the time", f"{sum(turn.seconds for turn in turns):.1f} s"),
    ]
