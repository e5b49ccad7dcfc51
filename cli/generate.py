"""`t2 generate`: one answer."""

from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from .choice import name_choice, open_choice
from .options import (
    DEFAULT_MODEL,
    Adapt,
    AllowTransfer,
    BasisBits,
    ExpertName,
    ExpertsFolder,
    Json,
    Markdown,
    MaxTokens,
    MinP,
    Mix,
    Model,
    RepetitionPenalty,
    RouterFile,
    Seed,
    SystemMessage,
    Temperature,
    TopK,
    TopP,
)
from .question import read_question
from .render import emit, note, say, stream
from .session import check_choice, open_model

if TYPE_CHECKING:
    from mlx_t2.generation import Answer


NoStdin = Annotated[bool, typer.Option("--no-stdin", help="Leave standard input alone.")]


def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="The question. Standard input is added to it, or is the question alone "
            "where this is missing or -."
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    system: SystemMessage = None,
    max_tokens: MaxTokens = 256,
    temp: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    markdown: Markdown = False,
    no_stdin: NoStdin = False,
    json: Json = False,
) -> None:
    """Answer one question, in two passes where --adapt asks for it.

    Without --expert, --mix or --adapt it is `off`: the base model. (`t2 chat` is `auto`.)
    """
    word = name_choice(expert, mix, adapt, otherwise="off")
    check_choice(expert, mix, adapt, router, word)
    question = read_question(prompt, with_stdin=not no_stdin)
    from mlx_t2.generation import AdaptiveGenerator
    from mlx_t2.models import check_conversations
    from mlx_t2.sampling import SamplingConfig

    worn = open_model(model)
    messages = _as_messages(system, question)
    check_conversations(worn, [messages])
    strategy = open_choice(worn, word, experts, allow_transfer, basis_bits, router)
    config = SamplingConfig(
        seed=seed,
        temperature=temp,
        max_tokens=max_tokens,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    request = AdaptiveGenerator(worn, strategy).stream(messages, config)
    if json:
        deque(request, maxlen=0)
    else:
        stream((token.text for token in request), markdown)
    assert request.answer is not None  # the stream has ended
    _show_end(request.answer, json)


def _as_messages(system: str | None, question: str) -> list[dict[str, str]]:
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": question}]


def _show_end(answer: "Answer", json: bool) -> None:
    if json:
        emit(answer.to_json())
        return
    say()
    note(describe_route(answer))


def describe_route(answer: "Answer") -> str:
    """One line on how the scales of the answer were found."""
    route = answer.route
    sure = "" if route.confidence is None else f" ({route.confidence:.2f})"
    worn = " + ".join(
        f"{alpha:.2f} {name}"
        for name, alpha in route.coefficients.items()
        if abs(alpha) > 0.005
    )
    return (
        f"{route.strategy}: {route.label or worn or 'base model'}{sure}, "
        f"{'' if route.form == 'live' else f'{route.form}, '}"
        f"first pass {route.first_pass_ms:.0f} ms, "
        f"first token after {route.first_token_ms:.0f} ms, "
        f"{answer.completion_tokens} tokens in {route.second_pass_ms:.0f} ms"
    )
