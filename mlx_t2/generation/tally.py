"""From token to token, in which form scales are worn. Knows models; knows no strategies."""

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from time import perf_counter

from mlx_t2.models import Outfit, PutBeside, SVFModel
from mlx_t2.svf import Scales, Work, agree

_FIRST = 16
"""Token steps before any other form than live is thought of."""


class Tally:
    """Counts the token steps under one set of scales, live at first, and finds the form that
    pays once there have been enough, in one answer or over several.

    Nobody knows how long an answer will be, or whether another follows. So the scales are
    expected to be worn for as long again as they have been: after 16, 32, 64, … steps the
    prices of as many more decide, see `svf.choose_form`. Making matrices too early or too late
    then costs about what it saves. Other scales begin anew: what changes from answer to answer
    stays live.

    Matrices beside the weights are made between the tokens, for as long as the last token took
    or one at a time, so that an answer never stands still:

        token  M M M  token  M M M  token  …      what is made is worn beside, the rest live
    """

    def __init__(self, model: SVFModel):
        self._model = model
        self._outfit = Outfit()
        self._steps = 0
        self._making: Iterator[PutBeside] | None = None
        self._bits = 16
        self._ended = inf
        """When the last step ended and the next token was begun [s]; inf after a prompt."""

    def begin(self, scales: Scales) -> Outfit:
        """What an answer under these scales begins in: the form they were last worn in."""
        if not agree(self._outfit.scales, scales):
            self._outfit, self._steps = self._model.make_outfit(scales), 0
            self._making = None
        self._ended = inf
        return self._outfit

    def step(self, outfit: Outfit, left: int) -> Outfit:
        """What the next token is drawn in.

        outfit: what the one before was drawn in.
        left: the most tokens that may follow.
        """
        if not outfit.scales or outfit is not self._outfit:
            return outfit
        if self._making is None and outfit.form == "live":
            self._choose(left)
        if self._making is not None:
            self._make(self._making)
        self._ended = perf_counter()
        return self._outfit

    def _choose(self, left: int) -> None:
        self._steps += 1
        if min(self._steps, left) < _FIRST or self._steps & (self._steps - 1):
            return
        scales = self._outfit.scales
        choice = self._model.form_for(scales, Work(0, min(self._steps, left)))
        if choice.form == "beside":
            self._making, self._bits = self._model.put_beside(scales, choice.bits), choice.bits
        elif choice.form == "folded":
            self._outfit = self._model.make_outfit(scales, choice.form, choice.bits)

    def _make(self, making: Iterator[PutBeside]) -> None:
        """Some more matrices."""
        start = perf_counter()
        until = 2 * start - self._ended
        for made in making:
            self._outfit = replace(made.outfit, scales=self._outfit.scales)
            if perf_counter() >= until:
                return
        self._making = None
        self._outfit = self._model.make_outfit(self._outfit.scales, "beside", self._bits)
