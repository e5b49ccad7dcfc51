"""`t2 chat`: its flags, and what they begin."""

import sys
from typing import Annotated, Literal

import typer

from ..choice import name_choice
from ..options import (
    DEFAULT_MODEL,
    WEIGHTS,
    AdaptInChat,
    AllowTransfer,
    BasisBits,
    ExpertName,
    ExpertsFolder,
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
from ..render import note
from ..session import check_choice, open_model

KEPT = "What is kept"


AdaptEvery = Annotated[
    Literal["first", "turn"],
    typer.Option(
        help="Choose at the first turn, or at each turn anew: what is worn stays while it is "
        "the likeliest; else, in doubt, the base model answers.",
        rich_help_panel=WEIGHTS,
    ),
]
SessionName = Annotated[
    str | None,
    typer.Option(
        "--session",
        help="Go on with the conversation of this name, or begin it.",
        rich_help_panel=KEPT,
    ),
]
ResumeLast = Annotated[
    bool, typer.Option("--resume", help="Go on with the last one.", rich_help_panel=KEPT)
]
NoHistory = Annotated[
    bool,
    typer.Option(
        "--no-history",
        help="Keep neither the conversation nor the lines typed.",
        rich_help_panel=KEPT,
    ),
]


def chat(
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: AdaptInChat = None,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    allow_transfer: AllowTransfer = False,
    basis_bits: BasisBits = None,
    adapt_every: AdaptEvery = "turn",
    system: SystemMessage = None,
    max_tokens: MaxTokens = 256,
    temp: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    min_p: MinP = 0.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    markdown: Markdown = False,
    session: SessionName = None,
    resume_last: ResumeLast = False,
    no_history: NoHistory = False,
) -> None:
    """Talk to a model that chooses its experts by itself; /help lists what can be typed.

    Without --expert, --mix or --adapt it is `auto`: the expert that the question asks for, and
    the base model in doubt. (`t2 generate` has the same flags, and is `off`.)
    """
    word = name_choice(expert, mix, adapt, otherwise="auto")
    check_choice(expert, mix, adapt, router, word)
    from mlx_t2.sampling import SamplingConfig

    from .conversation import Conversation
    from .settings import Settings
    from .talk import Chat, Wardrobe
    from .turns import begin, loop, open_reader, open_session

    sampling = SamplingConfig(
        temperature=temp,
        max_tokens=max_tokens,
        seed=seed,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
    )
    is_person = sys.stdin.isatty() and sys.stdout.isatty()
    kept = open_session(session, resume_last, no_history, is_person)
    conversation = Conversation(Settings(sampling, markdown), system=system or "")
    wardrobe = Wardrobe(experts, router, adapt_every, allow_transfer, basis_bits)
    talk = Chat(open_model(model), conversation, wardrobe, kept, model)
    begin(talk, word, is_chosen=(expert, mix, adapt) != (None, None, None))
    note(f"{model}: /help lists the commands")
    loop(talk, open_reader(talk, is_person, not no_history))
