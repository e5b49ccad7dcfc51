"""`t2 chat`: a conversation, each answer under the weights that it needs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Annotated, Literal

import typer

from .chat_commands import COMMANDS
from .conversation import Chat
from .options import (
    DEFAULT_MODEL,
    WEIGHTS,
    Adapt,
    ExpertName,
    ExpertsFolder,
    MaxTokens,
    Mix,
    Model,
    RouterFile,
    Seed,
    Temperature,
)
from .question import unreadable
from .render import complain, note, say
from .session import check_choice, open_model
from .surroundings import find_stray_byte
from .terminal import visible


def chat(
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    router: RouterFile = None,
    adapt_every: Annotated[
        Literal["first", "turn"],
        typer.Option(
            help="Choose at the first turn, or at each turn anew; in doubt stay with what is "
            "worn.",
            rich_help_panel=WEIGHTS,
        ),
    ] = "turn",
    max_tokens: MaxTokens = 256,
    temp: Temperature = 0.0,
    seed: Seed = 0,
) -> None:
    """Talk to a model that chooses its experts by itself; /help lists what can be typed."""
    is_free = (expert, mix, adapt) == (None, None, None)
    check_choice(expert, mix, "auto" if is_free else adapt, router)
    from mlx_t2.sampling import SamplingConfig

    config = SamplingConfig(temperature=temp, max_tokens=max_tokens, seed=seed)
    talk = Chat(open_model(model), experts, config, router, adapt_every)
    talk.begin(expert, mix, adapt)
    note(f"{model}: /help lists the commands")
    loop(talk, is_person=sys.stdin.isatty() and sys.stdout.isatty())


def loop(talk: Chat, is_person: bool) -> None:
    """Read and answer until the end of the input."""
    with _remember_lines() if is_person else nullcontext():
        while not talk.is_over:
            try:
                prompt = f"\n[{visible(talk.generator.strategy.name)}] > "
                line = input(prompt) if is_person else sys.stdin.readline()
            except EOFError:
                break
            except (OSError, UnicodeDecodeError) as error:
                raise unreadable(error, "the lines of a chat") from error
            except KeyboardInterrupt:
                say()
                continue
            if not is_person and not line:
                break
            turn(talk, line.strip())


def turn(talk: Chat, line: str) -> None:
    """One line of input: a command, a question, or nothing."""
    from mlx_t2.errors import T2Error

    if not line:
        return
    if (stray := find_stray_byte([line])) is not None:
        complain(f"this line: {stray}, expected UTF-8 text")
        return
    if not line.startswith("/"):
        talk.ask(line)
        return
    word, _, rest = line.partition(" ")
    command = COMMANDS.get(word)
    if command is None:
        complain(f"{word}: no such command, expected one of {', '.join(COMMANDS)}")
        return
    try:
        command.run(talk, rest.strip())
    except T2Error as error:
        complain(str(error))


@contextmanager
def _remember_lines() -> Iterator[None]:
    """Lines typed before, and completion of commands, where the terminal has readline."""
    from mlx_t2.folders import data_dir

    file = data_dir() / "history"
    with suppress(ImportError, OSError):
        import readline

        readline.set_completer_delims(" ")
        readline.set_completer(
            lambda text, i: [*[word for word in COMMANDS if word.startswith(text)], None][i]
        )
        readline.parse_and_bind("tab: complete")
        readline.read_history_file(file)
    try:
        yield
    finally:
        with suppress(ImportError, OSError):
            import readline

            file.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(file)
