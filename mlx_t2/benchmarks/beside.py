"""An expert beside its base, live and folded: bytes of a token step, tokens per second of a
4-bit copy of the default model, what is kept of the change, making the matrices, sampling.

On a Mac, its rows of tokens per second are the measured column beside `predictions`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import mlx.core as mx
import mlx_lm

from mlx_t2.experts import Library
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import SamplingConfig, sample, stream
from mlx_t2.svf import (
    Basis,
    BasisCache,
    Form,
    Recipe,
    Scales,
    SingularVectors,
    compose_change,
    round_change,
)
from mlx_t2.tasks import get_task

from .forms_read import BIG, WAYS, count_bytes, count_quantised, measure_bytes
from .four_bit_copy import load_unwidened, open_copy
from .gradient_pass import draw_scales
from .kept_change import measure_kept
from .measurement import DEFAULT_MODEL, Measurement
from .profile import ignoring_ends

_TOKENS = 12
_DECODED: tuple[tuple[Form, int], ...] = (
    ("beside", 4),
    ("beside", 8),
    ("folded", 8),
    ("live", 16),
)
_SAMPLED: tuple[Form, ...] = ("beside", "folded")
_QUESTION = {"role": "user", "content": "Tell me a long story about a sailor and the sea."}
_PROBLEMS, _GROUP, _LONGEST = 9, 8, 14


def measure(runs: int, model: str = DEFAULT_MODEL) -> Iterator[Measurement]:
    """Each measurement as it is made."""
    yield from measure_reading()
    yield measure_making_of_one()
    with open_copy(model) as folder:
        yield from _on_copy(folder, runs)
    yield from _sample(model, runs)


def measure_reading() -> Iterator[Measurement]:
    """Megabytes of a token step, one 4096 × 14336 weight of a 4-bit base, beside the base."""
    base = count_quantised(BIG.entries, 4) / 1e6
    for form, bits in WAYS:
        read = measure_bytes(BIG, form, bits)
        assert read == count_bytes(BIG, form, bits)
        target = "≥ 0.74, 1.35 times the bytes" if (form, bits) == ("beside", 4) else ""
        name = f"4096 × 14336, a token step reads, {form}, {bits} bits"
        yield Measurement(name, read / 1e6, base, "the 4-bit base alone", "MB", target)


def measure_making_of_one() -> Measurement:
    """From q on disk to M in 4 bits, for one 4096 × 14336 weight; its peak of memory."""
    n = BIG.n
    q, z = mx.random.normal((n, n), key=mx.random.key(0)) / n**0.5, mx.full((n,), 1.02)
    with TemporaryDirectory() as folder:
        cache = BasisCache(Path(folder))
        cache.write("key", Basis("right", SingularVectors((q,)), mx.ones((n,))))
        del q
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        start = time.perf_counter()
        basis = cache.read("key")
        assert basis is not None
        mx.eval(round_change(compose_change(basis.q, z), 4, mx.bfloat16).parameters())
        seconds = time.perf_counter() - start
    peak = (mx.get_peak_memory() - before) / 1e6
    against = f"peak {peak:.0f} MB, of which q is {4 * n * n / 1e6:.0f}"
    return Measurement("4096 × 14336, putting it beside, 4 bits", seconds, None, against)


def _on_copy(folder: Path, runs: int) -> Iterator[Measurement]:
    worn, plain = load_unwidened(folder), load_unwidened(folder)
    for _ in worn.decompose(Recipe()):
        pass
    scales = draw_scales(worn.shapes)
    mx.eval(scales)
    yield _make_all(worn, scales)
    yield from _compare_changes(worn)
    prompt = worn.encode([_QUESTION])
    config = SamplingConfig(temperature=0, max_tokens=_TOKENS)
    for form, bits in _DECODED:
        outfit = worn.make_outfit(scales, form, bits)
        ours, other = [], []
        for _ in range(runs + 1):
            with worn.wearing(outfit):
                ours.append(_rate(stream(worn, prompt, config)))
            answer = mlx_lm.stream_generate(
                plain.network, plain.tokenizer, prompt, max_tokens=_TOKENS
            )
            other.append(_rate(answer))
        target = "≥ 0.75" if (form, bits) == ("beside", 4) else ""
        name = f"4-bit copy, decoding, {form}, {bits} bits"
        rates = median(ours[1:]), median(other[1:])
        yield Measurement(name, *rates, "plain mlx-lm", "tokens/s", target)


def _rate(steps: Iterator[object]) -> float:
    """Tokens per second after the first."""
    next(steps)
    start = time.perf_counter()
    count = sum(1 for _ in steps)
    return count / (time.perf_counter() - start)


def _make_all(model: SVFModel, scales: Scales) -> Measurement:
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    *_, last = model.put_beside(scales, 4)
    peak = (mx.get_peak_memory() - before) / 1e6
    kept = model.make_outfit(scales, "beside", 4).nbytes / 1e6
    name = f"4-bit copy, putting an expert beside {last.total} weights, 4 bits"
    return Measurement(name, last.seconds, None, f"peak {peak:.0f} MB, {kept:.0f} MB kept")


def _compare_changes(model: SVFModel) -> Iterator[Measurement]:
    """What each bundled expert's change is worth on this base, mean over weights."""
    shapes = model.shapes
    for expert, _ in Library().experts():
        scales = {path: z for path, z in expert.scales.items() if path in shapes}
        if any(z.shape != shapes[path] for path, z in scales.items()) or not scales:
            continue
        for kept in measure_kept(model, scales, (("beside", 8), ("beside", 4))):
            what = f"4-bit copy, {expert.name} beside in {kept.bits} bits"
            against = f"share {kept.share:.3f}, error {kept.error:.3f}"
            target = "≥ 0.99" if kept.bits == 4 else ""
            name = f"{what}, correlation of the change"
            yield Measurement(name, kept.correlation, None, against, "of 1", target)


def _sample(name: str, runs: int) -> Iterator[Measurement]:
    """A step's completions from the default model as it is, making what is made among it."""
    model, task = decompose(load(name)), get_task("expression")
    prompts = [model.encode(p.messages) for p in task.step(_PROBLEMS, 0)]
    scales = draw_scales(model.shapes)
    mx.eval(scales)

    def work(form: Form, seed: int) -> float:
        config = SamplingConfig(temperature=1.0, max_tokens=_LONGEST, seed=seed)
        start = time.perf_counter()
        # other arrays at each step of a training: so they are here
        changed = {path: z + 1e-6 * seed for path, z in scales.items()}
        with ignoring_ends(model), model.using(changed, form, acts_on="answer"):
            sample(model, prompts, config, _GROUP)
        return time.perf_counter() - start

    for form in _SAMPLED:
        pairs = [(work(form, seed), work("live", seed)) for seed in range(runs + 1)][1:]
        ours, other = (median(side) for side in zip(*pairs, strict=True))
        what = f"sampling {_PROBLEMS * _GROUP} × {_LONGEST} tokens, {form}"
        yield Measurement(what, ours, other, "live")
