"""`t2 generate`: one answer."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    DEFAULT_MODEL,
    Adapt,
    AllowTransfer,
    BasisBits,
    ExpertName,
    ExpertsFolder,
    Json,
    Mix,
    Model,
    Seed,
)
from .render import emit, note, say
from .session import check_choice, open_model, prepare_strategy

if TYPE_CHECKING:
    from mlx_t2.generation import Answer


def generate(
    prompt: Annotated[
        str, typer.Argument(help="The question; - reads it from standard input.")
    ] = "-",
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    system: Annotated[
        str | None, typer.Option(help="System message, instead of the expert's own prompt.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer [tokens].")] = 256,
    temp: Annotated[float, typer.Option(min=0.0, help="Temperature; 0 is greedy.")] = 0.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Answer one question, in two passes where --adapt asks for it."""
    check_choice(expert, mix, adapt)
    question = sys.stdin.read().strip() if prompt == "-" else prompt
    if not question:
        raise typer.BadParameter("the question is empty")
    from mlx_t2.generation import AdaptiveGenerator
    from mlx_t2.models import check_conversations
    from mlx_t2.sampling import SamplingConfig

    worn = open_model(model)
    messages = [{"role": "user", "content": question}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    check_conversations(worn, [messages])
    strategy = prepare_strategy(worn, expert, mix, adapt, experts, allow_transfer, basis_bits)
    config = SamplingConfig(temperature=temp, max_tokens=max_tokens, seed=seed)
    request = AdaptiveGenerator(worn, strategy).stream(messages, config)
    for token in request:
        if not json:
            say(token.text, end="")
    answer = request.answer
    assert answer is not None  # the stream has ended
    if json:
        emit(answer.to_json())
        return
    say()
    note(describe_route(answer))


def describe_route(answer: "Answer") -> str:
    """One line on how the scales of the answer were found."""
    route = answer.route
    worn = " + ".join(
        f"{alpha:.2f} {name}"
        for name, alpha in route.coefficients.items()
        if abs(alpha) > 0.005
    )
    return (
        f"{route.strategy}: {route.label or worn or 'base model'}, "
        f"first pass {route.first_pass_ms:.0f} ms, "
        f"first token after {route.first_token_ms:.0f} ms, "
        f"{answer.completion_tokens} tokens in {route.second_pass_ms:.0f} ms"
    )
