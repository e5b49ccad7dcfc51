"""`t2 chat`: a conversation, each answer under the weights that it needs."""

import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from .ask import routed
from .options import DEFAULT_MODEL, Adapt, ExpertName, ExpertsFolder, Mix, Model, Seed
from .render import complain, facts, note, say, table
from .session import check_choice, decomposed, opened, strategy_for

HELP = (
    (
        "/expert NAME",
        "wear one expert; `auto` chooses for each question, `off` is the base model",
    ),
    ("/experts", "list the experts"),
    ("/why", "how the last answer came to its weights"),
    ("/stats", "tokens and times of the last answer"),
    ("/system TEXT", "begin anew under this system message"),
    ("/reset", "forget the conversation"),
    ("/help", "this list"),
    ("/exit", "leave; Ctrl-D does too. Ctrl-C stops an answer"),
)


def chat(
    model: Model = DEFAULT_MODEL,
    expert: ExpertName = None,
    mix: Mix = None,
    adapt: Adapt = None,
    experts: ExpertsFolder = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer [tokens].")] = 256,
    temp: Annotated[float, typer.Option(min=0.0, help="Temperature; 0 is greedy.")] = 0.0,
    seed: Seed = 0,
) -> None:
    """Talk to a model that chooses its experts by itself; /help lists what can be typed."""
    check_choice(expert, mix, adapt)
    from mlx_t2.sampling import SamplingConfig

    worn = opened(model)
    config = SamplingConfig(temperature=temp, max_tokens=max_tokens, seed=seed)
    talk = Chat(worn, experts, config)
    talk.begin(expert, mix, adapt)
    note(f"{model}: /help lists the commands")
    talk.loop(is_person=sys.stdin.isatty())


class Chat:
    """The state of a conversation."""

    def __init__(self, model: Any, folder: Path | None, config: Any):
        self.model, self.folder, self.config = model, folder, config
        self.messages: list[dict[str, str]] = []
        self.answer: Any = None
        self.generator: Any = None

    def begin(self, expert: str | None, mix: str | None, adapt: str | None) -> None:
        """As the flags say; without any, experts choose themselves where the model has some."""
        from mlx_t2.errors import T2Error

        if (expert, mix, adapt) != (None, None, None):
            self.choose(expert, mix, adapt)
            return
        try:
            self.choose(adapt="classifier")
        except T2Error as error:
            note(f"{error}\nuntil then the base model answers")
            self.choose(adapt="none")

    def choose(
        self, expert: str | None = None, mix: str | None = None, adapt: str | None = None
    ) -> None:
        """Answer from now on as these flags ask for; what is refused changes nothing."""
        from mlx_t2.errors import T2Error
        from mlx_t2.generation import AdaptiveGenerator

        before = self.model.targets, self.model.rank
        try:
            strategy, known = strategy_for(self.model, expert, mix, adapt, self.folder)
        except T2Error:
            if before[0] is not None:  # it may have been decomposed for what was refused
                decomposed(self.model, *before)
            raise
        self.generator = AdaptiveGenerator(
            self.model, strategy, {n: e.prompt for n, e in known.items()}
        )

    def loop(self, is_person: bool) -> None:
        """Read and answer until the end of the input."""
        with _history() if is_person else nullcontext():
            while True:
                try:
                    prompt = f"\n[{self.generator.strategy.name}] > "
                    line = input(prompt) if is_person else sys.stdin.readline()
                except EOFError:
                    break
                except KeyboardInterrupt:
                    say()
                    continue
                if not is_person and not line:
                    break
                if not self.turn(line.strip()):
                    break

    def turn(self, line: str) -> bool:
        """One line of input; False to leave."""
        if not line:
            return True
        if not line.startswith("/"):
            self.ask(line)
            return True
        from mlx_t2.errors import T2Error

        word, _, rest = line.partition(" ")
        try:
            return self.command(word, rest.strip())
        except T2Error as error:
            complain(str(error))
            return True

    def ask(self, question: str) -> None:
        """Answer under the conversation so far. Ctrl-C keeps what has been said."""
        self.messages.append({"role": "user", "content": question})
        tokens = self.generator.stream(self.messages, self.config)
        try:
            for token in tokens:
                say(token.text, end="")
        except KeyboardInterrupt:
            tokens.close()
        say()
        self.answer = self.generator.answer
        if self.answer is None:  # stopped before the first pass was over
            self.messages.pop()
            return
        self.messages.append({"role": "assistant", "content": self.answer.text})

    def command(self, word: str, rest: str) -> bool:
        """A line that begins with a slash; False to leave."""
        match word:
            case "/exit" | "/quit":
                return False
            case "/help":
                facts("commands", HELP)
            case "/expert":
                self.wear(rest)
            case "/experts":
                self.list_experts()
            case "/why":
                self.why()
            case "/stats":
                self.stats()
            case "/reset":
                self.messages = self.messages[:1] if self._has_system() else []
            case "/system":
                self.messages = [{"role": "system", "content": rest}] if rest else []
            case _:
                known = ", ".join(command.split()[0] for command, _ in HELP)
                complain(f"{word}: no such command, expected one of {known}")
        return True

    def _has_system(self) -> bool:
        return bool(self.messages) and self.messages[0]["role"] == "system"

    def wear(self, name: str) -> None:
        """/expert NAME, auto or off."""
        if name in ("auto", "off", ""):
            self.choose(adapt="none" if name == "off" else "classifier")
        else:
            self.choose(expert=name)

    def list_experts(self) -> None:
        """/experts"""
        from mlx_t2.experts import Library

        found = (
            Library() if self.folder is None else Library(self.folder, bundled=None)
        ).experts()
        table(
            "experts",
            ("name", "trained on", "base model"),
            [(e.name, e.task, e.base_model) for e, _ in found],
        )

    def why(self) -> None:
        """/why"""
        if self.answer is None:
            say("nothing has been answered yet")
            return
        say(routed(self.answer))
        scores = sorted(self.answer.route.scores.items(), key=lambda pair: -pair[1])
        facts(
            "scores of the first pass", [(label, f"{score:.3f}") for label, score in scores]
        ) if scores else None

    def stats(self) -> None:
        """/stats"""
        if self.answer is None:
            say("nothing has been answered yet")
            return
        a, seconds = self.answer, self.answer.route.second_pass_ms / 1000
        facts(
            "last answer",
            (
                ("prompt", f"{a.prompt_tokens} tokens"),
                ("answer", f"{a.completion_tokens} tokens"),
                ("speed", f"{a.completion_tokens / seconds:.1f} tokens a second"),
                ("first pass", f"{a.route.first_pass_ms:.0f} ms"),
                ("first token", f"after {a.route.first_token_ms:.0f} ms"),
                ("ended by", a.finish_reason),
            ),
        )


class _history:
    """Lines typed before, and completion of commands, where the terminal has readline."""

    def __enter__(self) -> None:
        from mlx_t2.folders import data_dir

        self._file = data_dir() / "history"
        with suppress(ImportError, OSError):
            import readline

            words = [command.split()[0] for command, _ in HELP]
            readline.set_completer_delims(" ")
            readline.set_completer(
                lambda text, i: [*[w for w in words if w.startswith(text)], None][i]
            )
            readline.parse_and_bind("tab: complete")
            readline.read_history_file(self._file)

    def __exit__(self, *_: object) -> None:
        with suppress(ImportError, OSError):
            import readline

            self._file.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(self._file)
