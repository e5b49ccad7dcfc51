"""Decoding under an expert: folded, live, and 32 different ones in a batch; and prompts that do
not begin alike, beside mlx-lm's own batches.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import mlx.core as mx
import mlx_lm
from mlx_lm.generate import batch_generate

from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import ContinuousBatch, SamplingConfig, sample, stream
from mlx_t2.svf import Form, Scales

from .gradient_pass import draw_scales
from .measurement import DEFAULT_MODEL, Measurement
from .questions import ask_questions

_CONFIG = SamplingConfig(temperature=0, max_tokens=32)
_ROWS = 32
_QUESTION = {"role": "user", "content": "Tell me a long story about a sailor and the sea."}


def measure(runs: int, model: str = DEFAULT_MODEL) -> Iterator[Measurement]:
    """Each measurement as it is made, on the model of that name."""
    worn, plain = decompose(load(model)), load(model)
    scales = draw_scales(worn.shapes)
    yield from _alone(worn, plain, scales, runs)
    yield from _experts(worn, scales, runs)
    yield from _unlike(plain, runs)


def _alone(
    model: SVFModel, plain: SVFModel, scales: Scales, runs: int
) -> Iterator[Measurement]:
    """One stream, folded and live, beside mlx-lm's."""
    prompt = model.encode([_QUESTION])

    def ours() -> float:
        return _rate(stream(model, prompt, _CONFIG))

    def other() -> float:
        return _rate(
            mlx_lm.stream_generate(
                plain.network, plain.tokenizer, prompt, max_tokens=_CONFIG.max_tokens
            )
        )

    forms: tuple[Form, ...] = ("folded", "live")
    for form in forms:
        with model.using(scales, form):
            rates = _in_turn(ours, other, runs)
        target = "≥ 0.97" if form == "folded" else ""
        yield Measurement(
            f"decoding, {form} expert", *rates, "plain mlx-lm", "tokens/s", target
        )


def _experts(model: SVFModel, scales: Scales, runs: int) -> Iterator[Measurement]:
    """A batch whose rows wear unlike experts beside one whose rows wear the same."""
    prompt = model.encode([_QUESTION])
    # A fifth of the expert at most, so that no row ends its answer early.
    experts = [
        {path: 1 + 0.2 * (z - 1) * (k + 1) / _ROWS for path, z in scales.items()}
        for k in range(_ROWS)
    ]
    mx.eval(experts)
    rates = _in_turn(
        lambda: _batch_rate(model, prompt, experts),
        lambda: _batch_rate(model, prompt, [experts[-1]] * _ROWS),
        runs,
    )
    name, against = f"batch of {_ROWS} with {_ROWS} experts", "the same batch with one, live"
    yield Measurement(name, *rates, against, "tokens/s", "≥ 0.95")


def _unlike(model: SVFModel, runs: int) -> Iterator[Measurement]:
    """Prompts of unlike beginnings and lengths, from reading them to their last tokens."""
    for count in (8, 32):
        source, prompts = ask_questions(model, count)
        rates = _in_turn(
            lambda prompts=prompts: _whole_rate(lambda: _ours(model, prompts)),
            lambda prompts=prompts: _whole_rate(lambda: _theirs(model, prompts)),
            runs,
        )
        name = f"{count} prompts of unlike beginnings ({source})"
        yield Measurement(name, *rates, "mlx-lm's batch_generate", "tokens/s", "≥ 1.0")


def _ours(model: SVFModel, prompts: list[list[int]]) -> int:
    """Tokens of all answers, end tokens among them."""
    return sum(len(group[0].tokens) for group in sample(model, prompts, _CONFIG))


def _theirs(model: SVFModel, prompts: list[list[int]]) -> int:
    answers = batch_generate(
        model.network,
        model.tokenizer,
        prompts,
        max_tokens=_CONFIG.max_tokens,
        return_token_ids=True,
    ).token_ids
    assert answers is not None
    # mlx-lm leaves end tokens out, though it draws them
    return sum(len(tokens) + (len(tokens) < _CONFIG.max_tokens) for tokens in answers)


def _in_turn(
    ours: Callable[[], float], other: Callable[[], float], runs: int
) -> tuple[float, float]:
    """Median rates of both, measured in turn; the first of each is not counted."""
    pairs = [(ours(), other()) for _ in range(runs + 1)][1:]
    mine, theirs = zip(*pairs, strict=True)
    return median(mine), median(theirs)


def _rate(steps: Iterator[object]) -> float:
    """Tokens per second after the first."""
    next(steps)
    start = time.perf_counter()
    count = sum(1 for _ in steps)
    return count / (time.perf_counter() - start)


def _whole_rate(work: Callable[[], int]) -> float:
    """Tokens per second, the prompts' reading counted."""
    start = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - start)


def _batch_rate(model: SVFModel, prompt: Sequence[int], rows: Sequence[Scales]) -> float:
    """Tokens per second while all rows are decoding."""
    batch = ContinuousBatch(model, max_rows=len(rows))
    for scales in rows:
        batch.insert(prompt, scales, _CONFIG)
    seconds = []
    start = time.perf_counter()
    while tokens := batch.step():
        now = time.perf_counter()
        if len(tokens) == len(rows):
            seconds.append(now - start)
        start = now
    batch.close()
    return len(rows) / median(seconds)
