"""From token to token, in which form scales are worn. Knows models; knows no strategies."""

from mlx_t2.models import Outfit, SVFModel
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
    """

    def __init__(self, model: SVFModel):
        self._model = model
        self._outfit = Outfit()
        self._steps = 0

    def begin(self, scales: Scales) -> Outfit:
        """What an answer under these scales begins in: the form they were last worn in."""
        if not agree(self._outfit.scales, scales):
            self._outfit, self._steps = self._model.make_outfit(scales), 0
        return self._outfit

    def step(self, outfit: Outfit, left: int) -> Outfit:
        """What the next token is drawn in.

        outfit: what the one before was drawn in.
        left: the most tokens that may follow.
        """
        if not outfit.scales or outfit.form != "live" or outfit is not self._outfit:
            return outfit
        self._steps += 1
        if min(self._steps, left) < _FIRST or self._steps & (self._steps - 1):
            return outfit
        choice = self._model.form_for(outfit.scales, Work(0, min(self._steps, left)))
        if choice.form != "live":
            self._outfit = self._model.make_outfit(outfit.scales, choice.form, choice.bits)
        return self._outfit
