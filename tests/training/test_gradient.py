import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales

from mlx_t2.reading import completion_distributions, completion_logprobs
from mlx_t2.training import TrainConfig
from mlx_t2.training.gradient import AdvantageGroup, Objective, cut_into_parts
from mlx_t2.training.parametrisation import direct

GROUPS = [
    AdvantageGroup((5, 6, 7, 8), ((3, 4, 2), (9, 2), (4,)), (1.0, -1.0, 0.5)),
    AdvantageGroup((5, 6, 9), ((1, 2), (7, 7, 7, 2), (8, 2)), (0.5, -0.5, 0.25)),
]


def objective(model, **settings):
    config = TrainConfig(prompts=2, group=3, **settings)
    return Objective(model, direct(model.shapes, {}), config)


@pytest.fixture
def scales(tiny_model):
    return random_scales(tiny_model.shapes, spread=0.1)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", ["k2", "paper", "reference"])
def test_however_it_is_cut_the_gradient_is_the_same(tiny_model, scales, rows, form):
    of = objective(tiny_model, kl=0.3, kl_form=form)
    whole, cut = (of.gradient(scales, GROUPS, n) for n in (6, rows))
    assert_close(cut.loss, np.array(whole.loss))
    for path in scales:
        assert_close(cut.arrays[path], whole.arrays[path])


def test_parts_hold_at_most_that_many_rows_and_lose_none():
    for rows in range(1, 8):
        cut = list(cut_into_parts(GROUPS, rows))
        assert all(sum(len(g.completions) for g in part) <= rows for part in cut)
        flat = [
            (g.prompt, c, a)
            for part in cut
            for g in part
            for c, a in zip(g.completions, g.advantages, strict=True)
        ]
        assert flat == [
            (g.prompt, c, a)
            for g in GROUPS
            for c, a in zip(g.completions, g.advantages, strict=True)
        ]
    assert [len(part) for part in cut_into_parts(GROUPS, 6)] == [2]
    assert [len(part) for part in cut_into_parts(GROUPS, 5)] == [1, 1]


def naive_loss(model, scales, kl, form):
    """Every completion in one plain forward pass of its own; the formulas written out."""
    total = mx.array(0.0)
    for group in GROUPS:
        for completion, advantage in zip(group.completions, group.advantages, strict=True):
            tokens = mx.array([[*group.prompt, *completion]])
            at = slice(len(group.prompt) - 1, -1)
            with model.using(scales):
                policy = _log_softmax(model.network(tokens)[0, at])
            with model.using({}):
                base = mx.stop_gradient(_log_softmax(model.network(tokens)[0, at]))
            pick = mx.array(completion)[:, None]
            mine, theirs = (mx.take_along_axis(x, pick, axis=-1) for x in (policy, base))
            penalty = {
                "k2": lambda m=mine, t=theirs: 0.5 * (m - t) ** 2,
                "paper": lambda p=policy, b=base: mx.exp(p) * (p - b),
                "reference": lambda p=policy, b=base: mx.exp(b) * (b - p),
            }[form]()
            total = total - advantage * mine.sum() + kl * penalty.sum()
    return total / 6


def _log_softmax(logits):
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


@pytest.mark.parametrize("form", ["k2", "paper", "reference"])
def test_loss_and_gradient_are_those_of_the_formulas_row_by_row(tiny_model, scales, form):
    found = objective(tiny_model, kl=0.3, kl_form=form).gradient(scales, GROUPS, 6)
    loss, gradient = mx.value_and_grad(lambda s: naive_loss(tiny_model, s, 0.3, form))(scales)
    assert_close(found.loss, np.array(loss))
    for path in scales:
        assert_close(found.arrays[path], gradient[path])


def test_at_another_temperature_the_policy_is_what_was_sampled_from(tiny_model, scales):
    """softmax(logits / T) of every token, in the loss as in the draw."""
    of = objective(tiny_model, temperature=0.7)
    with tiny_model.using(scales):
        logits = tiny_model.network(mx.array([[5, 6, 7]]))[0, 1:] / 0.7
    expected = mx.take_along_axis(_log_softmax(logits), mx.array([[7], [9]]), axis=-1).sum()
    group = AdvantageGroup((5, 6), ((7, 9),), (1.0,))
    assert_close(of.gradient(scales, [group], 1).loss, np.array(-expected / 6))


def test_log_ratios_are_sums_over_each_completion(tiny_model, scales):
    of = objective(tiny_model)
    args = [g.prompt for g in GROUPS], [g.completions for g in GROUPS]
    with tiny_model.using(scales):
        policy = np.array(completion_logprobs(tiny_model, *args))
    base = np.array(completion_logprobs(tiny_model, *args))
    lengths = [len(c) for g in GROUPS for c in g.completions]
    expected = [part.sum() for part in np.split(policy - base, np.cumsum(lengths)[:-1])]
    for rows in (2, 6):
        assert_close(np.array(of.log_ratios(scales, GROUPS, rows)), np.array(expected))


def test_under_the_base_the_policy_is_the_base(tiny_model):
    of = objective(tiny_model, kl=1.0, kl_form="paper")
    ones = {path: mx.ones(shape) for path, shape in tiny_model.shapes.items()}
    assert of.log_ratios(ones, GROUPS, 6) == [0.0] * 6
    free = objective(tiny_model)
    penalised, plain = (one.gradient(ones, GROUPS, 6).loss.item() for one in (of, free))
    assert penalised == pytest.approx(plain, abs=1e-7)


def test_distributions_are_normalised(tiny_model, scales):
    with tiny_model.using(scales):
        logprobs = completion_distributions(tiny_model, [GROUPS[0].prompt], [[(3, 4)]])
    assert_close(mx.exp(logprobs).sum(axis=-1), np.ones(2))


def test_no_weight_has_a_gradient(tiny_model, scales):
    """A pass over two tokens takes less than half of what one dense gradient would."""
    from helpers import tiny_network, tiny_tokenizer

    from mlx_t2.models import SVFModel, decompose

    wide = decompose(SVFModel("wide", tiny_network(hidden=512), tiny_tokenizer()))
    of, start = objective(wide), direct(wide.shapes, {}).initial
    mx.eval(start, wide.network.parameters())
    weight = wide.network.model.layers[0].mlp.up_proj.base.weight.nbytes
    short = [AdvantageGroup((5, 6), ((7,),), (1.0,))]
    of.gradient(start, short, 1)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    of.gradient(start, short, 1)
    assert mx.get_peak_memory() - before < weight / 2
