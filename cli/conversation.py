"""A chat's state: the conversation so far, and what it is answered with. Reads no lines."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .render import complain, note, say, stream
from .session import ROUTED, open_strategy

if TYPE_CHECKING:
    from mlx_t2.generation import Answer
    from mlx_t2.models import SVFModel
    from mlx_t2.sampling import SamplingConfig


class Chat:
    """The state of a conversation."""

    def __init__(
        self,
        model: "SVFModel",
        folder: Path | None,
        config: "SamplingConfig",
        router: Path | None = None,
        every: Literal["first", "turn"] = "turn",
    ):
        """folder: of the experts, in place of the library. router: its file, in place of the
        one there. every: when it is decided anew, see `adaptation.Steady`.
        """
        from mlx_t2.generation import AdaptiveGenerator

        self.model, self.folder, self.config = model, folder, config
        self._router = router
        self._every: Literal["first", "turn"] = every
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
        from mlx_t2.adaptation import Steady
        from mlx_t2.generation import AdaptiveGenerator

        router = self._router if adapt in ROUTED else None
        strategy = open_strategy(self.model, expert, mix, adapt, self.folder, router=router)
        if not strategy.is_fixed:
            strategy = Steady(strategy, self._every)
        self.generator = AdaptiveGenerator(self.model, strategy)

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
