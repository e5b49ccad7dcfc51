"""`t2 chat`: a conversation, each answer under the weights that it needs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .chat_commands import COMMANDS
from .options import (
    DEFAULT_MODEL,
    Adapt,
    ExpertName,
    ExpertsFolder,
    MaxTokens,
    Mix,
    Model,
    Seed,
    Temperature,
)
from .render import complain, note, say, stream
from .session import check_choice, open_model, open_strategy
from .surroundings import find_stray_byte
from .terminal import visible

if TYPE_CHECKING:
    from mlx_t2.generation import Answer
    from mlx_t2.models import SVFModel
    from mlx_t2.sampling import SamplingConfig


def chat(
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    max_tokens: MaxTokens = 256,
    temp: Temperature = 0.0,
    seed: Seed = 0,
) -> None:
    """Talk to a model that chooses its experts by itself; /help lists what can be typed."""
    check_choice(expert, mix, adapt)
    from mlx_t2.sampling import SamplingConfig

    config = SamplingConfig(temperature=temp, max_tokens=max_tokens, seed=seed)
    talk = Chat(open_model(model), experts, config)
    talk.begin(expert, mix, adapt)
    note(f"{model}: /help lists the commands")
    talk.loop(is_person=sys.stdin.isatty() and sys.stdout.isatty())


class Chat:
    """The state of a conversation."""

    def __init__(self, model: "SVFModel", folder: Path | None, config: "SamplingConfig"):
        """folder: of the experts, in place of the library."""
        from mlx_t2.generation import AdaptiveGenerator

        self.model, self.folder, self.config = model, folder, config
        self.generator: AdaptiveGenerator = AdaptiveGenerator(model)
        self.messages: list[dict[str, str]] = []
        self.answer: Answer | None = None
        """The last one."""
        self.asked = 0
        """Questions so far: each draws with a seed of its own, the first with the flag's."""
        self.is_over = False

    def begin(self, expert: str | None, mix: str | None, adapt: str | None) -> None:
        """Follow the flags; without any, let the classifier choose, if the model has one."""
        from mlx_t2.errors import T2Error

        if (expert, mix, adapt) != (None, None, None):
            self.choose(expert, mix, adapt)
            return
        try:
            self.choose(adapt="classifier")
        except T2Error as error:
            note(f"{error}\nuntil then the base model answers")

    def choose(
        self, expert: str | None = None, mix: str | None = None, adapt: str | None = None
    ) -> None:
        """Answer from now on as these flags ask for; what is refused changes nothing."""
        from mlx_t2.generation import AdaptiveGenerator

        strategy = open_strategy(self.model, expert, mix, adapt, self.folder)
        self.generator = AdaptiveGenerator(self.model, strategy)

    def loop(self, is_person: bool) -> None:
        """Read and answer until the end of the input."""
        with _remember_lines() if is_person else nullcontext():
            while not self.is_over:
                try:
                    prompt = f"\n[{visible(self.generator.strategy.name)}] > "
                    line = input(prompt) if is_person else sys.stdin.readline()
                except EOFError:
                    break
                except KeyboardInterrupt:
                    say()
                    continue
                if not is_person and not line:
                    break
                self.turn(line.strip())

    def turn(self, line: str) -> None:
        """One line of input: a command, a question, or nothing."""
        from mlx_t2.errors import T2Error

        if not line:
            return
        if (stray := find_stray_byte([line])) is not None:
            complain(f"this line: {stray}, expected UTF-8 text")
            return
        if not line.startswith("/"):
            self.ask(line)
            return
        word, _, rest = line.partition(" ")
        command = COMMANDS.get(word)
        if command is None:
            complain(f"{word}: no such command, expected one of {', '.join(COMMANDS)}")
            return
        try:
            command.run(self, rest.strip())
        except T2Error as error:
            complain(str(error))

    def ask(self, question: str) -> None:
        """Answer under the conversation so far. Ctrl-C keeps what has been said; a question
        that cannot be answered is forgotten.
        """
        from mlx_t2.errors import T2Error

        self.messages.append({"role": "user", "content": question})
        config = replace(self.config, seed=(self.config.seed + self.asked) % 2**64)
        self.asked += 1
        request = self.generator.stream(self.messages, config)
        try:
            with suppress(KeyboardInterrupt):
                stream(token.text for token in request)
        except T2Error as error:
            complain(str(error))
            self.messages.pop()
            return
        request.close()
        say()
        self.answer = request.answer
        if self.answer is None:  # stopped before the first pass was over
            self.messages.pop()
            return
        self.messages.append({"role": "assistant", "content": self.answer.text})


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
