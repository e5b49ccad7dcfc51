"""A conversation with a model: wears what is asked for, and answers. Reads no lines."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..choice import is_routed, open_choice
from ..render import complain, is_terminal, note, say, stdout, stream
from .conversation import Conversation, Turn
from .footer import describe_turn
from .sessions import Session
from .votes import Vote, read_votes

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.experts import Expert
    from mlx_t2.generation import Answer
    from mlx_t2.models import SVFModel
    from mlx_t2.sampling import SamplingConfig


@dataclass(frozen=True)
class Wardrobe:
    """Where experts and routers are found, and which fit."""

    folder: Path | None = None
    """A folder of experts, in place of the library."""
    router: Path | None = None
    """The router's file, in place of the one beside the experts."""
    every: Literal["first", "turn"] = "turn"
    """When it is chosen anew, see `adaptation.Steady`."""
    allow_transfer: bool = False
    basis_bits: int | None = None


class Chat:
    """A conversation, the model that it is led with, and the file that it is kept in."""

    def __init__(
        self,
        model: "SVFModel",
        conversation: Conversation,
        wardrobe: Wardrobe | None = None,
        session: Session | None = None,
        name: str = "",
    ):
        """name: of the model, as it was asked for.

        session: None where nothing is kept.
        """
        from mlx_t2.adaptation import Fixed
        from mlx_t2.generation import Tally
        from mlx_t2.reading import KeptCaches

        self.model, self.name = model, name or model.name
        self.conversation, self.session = conversation, session
        self.wardrobe = wardrobe or Wardrobe()
        self.strategy: Strategy = Fixed.base()
        self.answer_next: Callable[[str], None] | None = None
        """Takes the next line, in place of a question: a vote."""
        self.asked = 0
        """Questions so far: each draws with a seed of its own, the first with the flag's."""
        self.votes: list[Vote] = read_votes() if session is not None else []
        self.can_edit = False
        """The next line may begin with a draft."""
        self.is_over = False
        self._kept, self._tally = KeptCaches(model), Tally(model)

    # Weights

    def wear(self, word: str) -> None:
        """Answer from now on under `auto`, `off`, an expert or a mixture; what is refused
        changes nothing. Stopped while the model is made ready, it is the base model.
        """
        try:
            self.strategy = self.open(word)
        except KeyboardInterrupt:
            self.conversation.worn = "off"
            self.strategy = self._open("off")
            complain("stopped: the base model answers")
            return
        self.conversation.worn = word

    def wear_or_go_without(self, word: str) -> None:
        """As `wear`; where no router or no expert is at hand, the plain model, and one line
        that says so.
        """
        from mlx_t2.errors import T2Error

        try:
            self.wear(word)
        except T2Error as error:
            self.wear("off")
            reason, *_ = str(error).splitlines()
            note(f"{word}: {reason}; until then the base model answers")

    def open(self, word: str) -> "Strategy":
        """The strategy of that word, ready to be worn from turn to turn."""
        from mlx_t2.adaptation import Steady

        strategy = self._open(word)
        return strategy if strategy.is_fixed else Steady(strategy, self.wardrobe.every)

    def open_all(self, words: Sequence[str]) -> "list[Strategy]":
        """The strategies of these words, to be worn by one model at once. Where it had to be
        made ready anew, so had those that were ready before.
        """
        before = self.model.recipe
        strategies = [self._open(word) for word in words]
        if self.model.recipe != before:
            strategies = [self._open(word) for word in words]
            self.wear(self.conversation.worn)
        return strategies

    def find_experts(self) -> "list[Expert]":
        """The experts at hand. Raises T2Error for a folder that cannot be read."""
        from mlx_t2.experts import open_library

        return [expert for expert, _ in open_library(self.wardrobe.folder).experts()]

    def _open(self, word: str) -> "Strategy":
        of = self.wardrobe
        router = of.router if is_routed(word) else None
        return open_choice(
            self.model, word, of.folder, of.allow_transfer, of.basis_bits, router
        )

    def change_model(self, name: str) -> None:
        """Go on with another model, under the same word where it can be."""
        from mlx_t2.generation import Tally
        from mlx_t2.reading import KeptCaches

        from ..session import open_model

        model = open_model(name)
        self.model, self.name = model, name
        self._kept, self._tally = KeptCaches(model), Tally(model)
        self.wear_or_go_without(self.conversation.worn)

    # Answers

    def ask(self, question: str) -> bool:
        """Answer under the conversation so far; whether there is an answer now. Ctrl-C keeps
        what has been said; a question that cannot be answered is forgotten.
        """
        from mlx_t2.errors import T2Error
        from mlx_t2.generation import AdaptiveGenerator

        messages, sampling = self.conversation.messages(question), self.next_sampling()
        generator = AdaptiveGenerator(self.model, self.strategy, self._tally)
        request = generator.stream(messages, sampling, self._kept)
        try:
            with suppress(KeyboardInterrupt):
                stream((token.text for token in request), self._is_rendered)
        except T2Error as error:
            complain(str(error))
            return False
        request.close()
        if request.answer is None or not request.answer.completion_tokens:
            note("stopped before the first word: the question is taken back")
            return False
        self._take(question, request.answer)
        return True

    @property
    def _is_rendered(self) -> bool:
        """Answers are shown as blocks, each with its own end of line."""
        is_able = is_terminal(stdout) and not stdout.is_dumb_terminal
        return is_able and self.conversation.settings.markdown

    def next_sampling(self) -> "SamplingConfig":
        """How the next answer is drawn: the settings, with a seed of its own."""
        sampling = self.conversation.settings.sampling
        seed = (sampling.seed + self.asked) % 2**64
        self.asked += 1
        return replace(sampling, seed=seed)

    def _take(self, question: str, answer: "Answer") -> None:
        turn = self.make_turn(question, answer)
        self.conversation.turns.append(turn)
        if not self._is_rendered:
            say()
        if is_terminal(stdout):
            note(describe_turn(turn))
        self.keep()

    def make_turn(self, question: str, answer: "Answer", worn: str | None = None) -> Turn:
        """What is kept of an answer.

        worn: the word that it was asked under, where it is not the conversation's.
        """
        conversation = self.conversation
        return Turn(
            question,
            answer.text,
            conversation.worn if worn is None else worn,
            conversation.system,
            self.name,
            answer.route.to_json(),
            answer.route.scores,
            answer.prompt_tokens,
            answer.read_tokens,
            answer.completion_tokens,
            answer.finish_reason,
            answer.first_pass_tokens,
            answer.route.first_token_ms / 1000,
            (answer.route.first_pass_ms + answer.route.second_pass_ms) / 1000,
        )

    # What is kept

    def start_over(self, system: str | None) -> None:
        """Forget the conversation, and begin one under this system message; None leaves it. One
        that was kept stays so, and the new one gets a file of its own.
        """
        if self.session is not None and self.conversation.turns:
            self.session = Session()
        self.conversation.begin_anew(system)

    def keep(self) -> None:
        """Bring the session's file in step; where it cannot be written, say so once."""
        from mlx_t2.errors import FileError

        if self.session is None:
            return
        try:
            self.session.write(self.conversation.turns)
        except FileError as error:
            complain(f"{error}. This conversation is not kept")
            self.session = None
