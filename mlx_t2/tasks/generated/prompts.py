"""What is put before a generated question: its domain's own prompt, or one for all domains.

Worked examples are given as chat turns, since a small model then answers in their bare style at
once; written inside the user message they do not help it. Does not know how a domain asks or
grades.
"""

from collections.abc import Sequence

from ..task import Message
from .domain import Domain


def own_prompt(domain: Domain) -> tuple[Message, ...]:
    """The domain's system message and its example turns."""
    return _prompt(domain.system, domain.examples)


def shared_prompt() -> tuple[Message, ...]:
    """One system message and one example turn of each domain, `largest` last.

    `largest` is last since a small model that sees `animal` last repeats it.
    """
    return _prompt(
        "Answer.",
        (("the first item of the list q", "q[0]"), ("a tiny ant", "animal"), ("3, 8, 5", "8")),
    )


def _prompt(system: str, examples: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    turns = [
        {"role": role, "content": content}
        for example in examples
        for role, content in zip(("user", "assistant"), example, strict=True)
    ]
    return ({"role": "system", "content": system}, *turns)
