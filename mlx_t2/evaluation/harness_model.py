"""The model that lm-evaluation-harness asks: texts in, log-likelihoods and texts out, under the
scales that are worn. Imported only where that package is installed.

Source: lm_eval.api.model.TemplateLM of lm-eval 0.4, whose contract this is.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from lm_eval.api.model import TemplateLM  # pyright: ignore[reportMissingImports]
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window  # pyright: ignore[reportMissingImports]

from mlx_t2.models import SVFModel
from mlx_t2.reading import completion_distributions, in_parts
from mlx_t2.sampling import SamplingConfig, sample

from .harness import cut_at

_SCORED = 512
"""Tokens that are scored at a time: each has a score for every token of the vocabulary."""
_DECODED = 64
"""Answers that are decoded at a time."""
_LONGEST = 2048
"""Tokens of a window, for a text that is scored as a whole."""
_GENERATED = 256
"""Tokens of an answer where a task does not say."""


class HarnessModel(TemplateLM):
    """An SVFModel as the harness wants it."""

    def __init__(self, model: SVFModel, seed: int = 0):
        super().__init__()
        self._adapted, self._seed = model, seed
        self.tokenizer = model.tokenizer
        self.has_template = bool(model.tokenizer.has_chat_template)

    @property
    def eot_token_id(self) -> int:
        """The first of the tokens that end an answer."""
        return min(self._adapted.eos_ids, default=0)

    @property
    def tokenizer_name(self) -> str:
        """What requests are cached under."""
        return self._adapted.name.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template's text, for the harness's records."""
        return str(getattr(self.tokenizer, "chat_template", "") or "")

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as the text that the model reads."""
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """The tokens; a template has written the special ones already."""
        if add_special_tokens is None:
            add_special_tokens = not self.has_template
        tokens: Any = self.tokenizer.encode(string, add_special_tokens=add_special_tokens)
        return list(tokens)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **others: Any
    ) -> list[tuple[float, bool]]:
        """(log-likelihood, whether greedy decoding would write it) of each continuation; those
        of one context are read together.
        """
        alike: dict[tuple[int, ...], list[int]] = {}
        for i, (_, context, _) in enumerate(requests):
            alike.setdefault(tuple(context or [self.eot_token_id]), []).append(i)
        found: dict[int, tuple[float, bool]] = {}
        for context, indices in alike.items():
            continuations = [tuple(requests[i][2]) for i in indices]
            parts = in_parts(continuations, _SCORED)
            scores = [one for part in parts for one in self._score(context, part)]
            found |= dict(zip(indices, scores, strict=True))
        return [found[i] for i in range(len(requests))]

    def _score(
        self, context: Sequence[int], continuations: Sequence[Sequence[int]]
    ) -> list[tuple[float, bool]]:
        full = [tokens for tokens in continuations if tokens]
        if not full:
            return [(0.0, True)] * len(continuations)
        logprobs = completion_distributions(self._adapted, [context], [full])
        tokens = mx.array([token for one in full for token in one])
        chosen: Any = mx.take_along_axis(logprobs, tokens[:, None], axis=-1)[:, 0].tolist()
        greedy: Any = (mx.argmax(logprobs, axis=-1) == tokens).tolist()
        scores, start = [], 0
        for one in continuations:
            end = start + len(one)
            scores.append((sum(chosen[start:end]), all(greedy[start:end])))
            start = end
        return scores

    def loglikelihood_rolling(
        self, requests: list[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """The log-likelihood of each whole text, in windows that do not overlap."""
        totals = []
        for request in requests:
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=_LONGEST,
                context_len=1,
            )
            pairs = [((None, None), *make_disjoint_window(window)) for window in windows]
            totals.append(sum(score for score, _ in self._loglikelihood_tokens(pairs)))
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """An answer to each context, cut at the texts that end one."""
        alike: dict[tuple[float, int], list[int]] = {}
        for i, request in enumerate(requests):
            settings = request.args[1]
            is_sampled = settings.get("do_sample", False)
            temperature = float(settings.get("temperature") or 0) if is_sampled else 0.0
            longest = int(settings.get("max_gen_toks", _GENERATED))
            alike.setdefault((temperature, longest), []).append(i)
        found: dict[int, str] = {}
        for (temperature, longest), indices in alike.items():
            config = SamplingConfig(
                temperature=temperature,
                max_tokens=longest,
                seed=self._seed,
                max_rows=_DECODED,
            )
            prompts = [self.tok_encode(requests[i].args[0]) for i in indices]
            drawn = sample(self._adapted, prompts, config, numbers=indices)
            found |= {i: one.text for i, (one,) in zip(indices, drawn, strict=True)}
        return [
            cut_at(found[i], _ends(request.args[1].get("until")))
            for i, request in enumerate(requests)
        ]


def _ends(until: Any) -> list[str]:
    return [until] if isinstance(until, str) else list(until or [])
