"""The head router on a tiny model's states, and its file."""

import json
from pathlib import Path

import mlx.core as mx
import pytest
from helpers import assert_close, tiny_network, tiny_tokenizer

from mlx_t2.errors import ConfigError, ExpertFileError, FileError
from mlx_t2.models import SVFModel
from mlx_t2.reading import last_hidden
from mlx_t2.routing import HeadRouter, Router, decide, fingerprint_in, head, measure_routes
from mlx_t2.routing.head import hidden_states
from mlx_t2.tasks import Problem

QUESTIONS = {
    "largest": "{0}1, {0}7, {1}4",
    "expression": "the item {0} of the list x{1}",
    "kind": "my old plum {0} {1}",
    "other": "Who wrote book {0}{1}?",
}


def problems(each=10, start=0):
    """Questions that differ most where the router looks least: at their beginning."""
    return [
        Problem(
            id=f"{domain}/{i}",
            messages=({"role": "user", "content": form.format(i, i * 7 % 10)},),
            answer="",
            kind="",
            domain=domain,
        )
        for domain, form in QUESTIONS.items()
        for i in range(start, start + each)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The file of a router that is trained once."""
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    path = tmp_path_factory.mktemp("router") / "router.safetensors"
    HeadRouter.train(model, problems(), problems(4, 10), {"kind": "kind-both"}).save(path)
    return path


@pytest.fixture
def router(tiny_model, trained) -> HeadRouter:
    return HeadRouter.load(trained, tiny_model)


@pytest.fixture
def saved(router, tmp_path):
    router.save(tmp_path / "router.safetensors")
    return tmp_path / "router.safetensors"


def rewritten(path, tensors=None, metadata=None):
    """The file with some tensors and metadata replaced; None takes one away."""
    old_tensors, old_metadata = mx.load(str(path), return_metadata=True)
    tensors, metadata = old_tensors | (tensors or {}), old_metadata | (metadata or {})
    mx.save_safetensors(
        str(path),
        {key: value for key, value in tensors.items() if value is not None},
        {key: value for key, value in metadata.items() if value is not None},
    )


def test_labels_are_the_domains_and_other_comes_last(router):
    assert router.labels == ("expression", "kind", "largest", "other")
    assert [router.metrics[key] for key in ("examples", "checked", "ordinary")] == [40, 16, 4]
    assert router.metrics["recall"].keys() == {"expression", "kind", "largest"}


def test_what_the_file_says_of_the_validation_is_what_happens_to_it(router):
    held_out = problems(4, 10)
    posterior = router.posterior([problem.messages for problem in held_out]).tolist()
    chosen = [
        decide(dict(zip(router.labels, row, strict=True)), router.threshold)
        for row in posterior
    ]
    found = measure_routes([problem.domain for problem in held_out], chosen)
    assert {key: router.metrics[key] for key in found} == found
    assert found["adapted"] == 0  # of so few, none may pass
    assert router.threshold > 0.5


def test_training_is_reproducible(tiny_model, router):
    again = HeadRouter.train(tiny_model, problems(), problems(4, 10), {"kind": "kind-both"})
    assert mx.array_equal(again.head.weight, router.head.weight)
    assert (again.metrics, again.threshold) == (router.metrics, router.threshold)


def test_states_are_of_the_base_weights(tiny_model, router, worn):
    chats = [problem.messages for problem in problems(1)]
    states, posterior = hidden_states(tiny_model, chats), router.posterior(chats)
    with tiny_model.using(worn):
        assert mx.array_equal(hidden_states(tiny_model, chats), states)
        assert mx.array_equal(router.posterior(chats), posterior)
        assert tiny_model.worn == worn


def test_states_are_in_the_order_of_the_conversations(tiny_model):
    chats = [problem.messages for problem in problems(12)]  # more than one batch
    for row, chat in zip(hidden_states(tiny_model, chats), chats, strict=True):
        state = last_hidden(tiny_model, [tiny_model.encode(chat)], (0,))[0]
        assert_close(row, state)


def test_training_needs_questions_of_other(tiny_model):
    specific = [problem for problem in problems(2) if problem.domain != "other"]
    for held_out in (specific, problems(2)):
        with pytest.raises(
            ConfigError, match="got examples of expression, kind, largest, held"
        ):
            HeadRouter.train(tiny_model, specific, held_out)
    with pytest.raises(ConfigError, match="held out expression, kind, largest, expected"):
        HeadRouter.train(tiny_model, problems(2), specific)


def test_the_posterior_sums_to_one(router):
    assert isinstance(router, Router)
    posterior = router.posterior([problem.messages for problem in problems(2)])
    assert posterior.shape == (8, 4)
    assert posterior.sum(axis=-1).tolist() == pytest.approx([1.0] * 8, abs=1e-6)


def test_loading_gives_back_the_router(tiny_model, router, saved):
    loaded = HeadRouter.load(saved, tiny_model)
    for name, tensor in vars(router.head).items():
        assert mx.array_equal(getattr(loaded.head, name), tensor)
    for name in (
        "labels",
        "blocks",
        "threshold",
        "base_model",
        "base_fingerprint",
        "tasks",
        "metrics",
    ):
        assert getattr(loaded, name) == getattr(router, name)
    assert [path.name for path in saved.parent.iterdir()] == ["router.safetensors"]


def test_a_router_that_cannot_be_written_leaves_nothing_behind(router, tmp_path):
    (tmp_path / "router.safetensors").mkdir()
    with pytest.raises(FileError, match=r"router\.safetensors: cannot be written"):
        router.save(tmp_path / "router.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["router.safetensors"]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tiny_model, saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ExpertFileError, match=r"router\.safetensors: cannot be read \("):
        HeadRouter.load(saved, tiny_model)


def test_a_missing_file_is_named(tiny_model, tmp_path):
    with pytest.raises(ExpertFileError, match=r"gone\.safetensors: .* \(no such file\)"):
        HeadRouter.load(tmp_path / "gone.safetensors", tiny_model)


def test_a_file_of_another_format_is_not_a_router(tiny_model, saved):
    rewritten(saved, metadata={"format": "mlx-t2-expert"})
    with pytest.raises(ExpertFileError, match="got format 'mlx-t2-expert' version '2'"):
        HeadRouter.load(saved, tiny_model)


def test_a_file_of_the_first_version_is_refused_with_what_to_do(tiny_model, saved):
    rewritten(saved, metadata={"format_version": "1", "threshold": None, "tasks": None})
    with pytest.raises(
        ExpertFileError, match=r"of version 2\. Train it anew with t2 router(.|\n)*version '1'"
    ):
        HeadRouter.load(saved, tiny_model)
    assert fingerprint_in(saved) == tiny_model.fingerprint()


def test_the_fingerprint_of_what_is_no_router_is_none(tmp_path, saved):
    assert fingerprint_in(tmp_path / "gone.safetensors") is None
    rewritten(saved, metadata={"format": "mlx-t2-expert"})
    assert fingerprint_in(saved) is None


def test_one_error_lists_everything_wrong_with_a_file(tiny_model, saved):
    rewritten(
        saved,
        {
            "weight": mx.zeros((2, 3)),
            "bias": mx.full((4,), mx.nan),
            "scale": None,
            "z": mx.ones(1),
        },
        {
            "labels": json.dumps(["expression", "expression", "other", "x"]),
            "threshold": "1.5",
            "blocks": "[1, -1]",
            "tasks": json.dumps({"kind": 3}),
            "metrics": None,
        },
    )
    rewritten(saved, {"mean": mx.zeros((5,))})
    with pytest.raises(ExpertFileError) as refusal:
        HeadRouter.load(saved, tiny_model)
    for fault in (
        "labels: got ['expression', 'expression', 'other', 'x'], expected a list of",
        "threshold: got 1.5, expected a number from 0 to 1",
        "blocks: got [1, -1], expected a list of whole numbers",
        "tasks: got {'kind': 3}, expected an object of names",
        "metrics: got None",
        "bias: NaN or infinite, expected finite",
        "scale: missing",
        "'z': unknown tensor",
    ):
        assert fault in str(refusal.value)


def test_a_block_that_the_model_does_not_have_is_refused(tiny_model, saved):
    rewritten(saved, metadata={"blocks": "[0, 2]"})
    with pytest.raises(ExpertFileError, match=r"it reads block 2, the model has 2\. Train"):
        HeadRouter.load(saved, tiny_model)


def test_the_blocks_with_the_least_surprise_are_looked_at():
    """A deeper model, of whose states but one are noise: that one is found."""
    model = SVFModel("deep", tiny_network(0, layers=10), tiny_tokenizer())
    assert head.depths(model) == (2, 4, 6)
    some, held_out = problems(), problems(6, 10)

    def states_of(chosen, seed):
        noise = [
            mx.random.normal((len(chosen), 32), key=mx.random.key(seed + i)) for i in range(3)
        ]
        order = ["expression", "kind", "largest", "other"]
        noise[1][:, 0] = mx.array([3.0 * order.index(p.domain) for p in chosen])
        noise[1][:, 1] = noise[1][:, 0] ** 2
        return mx.concatenate(noise, axis=1)

    found = HeadRouter.fit(
        model, (some, states_of(some, 0)), (held_out, states_of(held_out, 9))
    )
    assert 4 in found.blocks
    assert found.head.mean.size == 32 * len(found.blocks)


def test_shapes_have_to_fit_the_labels(tiny_model, saved):
    rewritten(saved, {"weight": mx.zeros((2, 3))})
    with pytest.raises(
        ExpertFileError, match=r"weight: got shape \(2, 3\), expected \(4, 32\)"
    ):
        HeadRouter.load(saved, tiny_model)


def test_a_router_is_checked_against_its_model_once_when_it_is_made(router, saved, monkeypatch):
    stranger = SVFModel("stranger", tiny_network(7), tiny_tokenizer())
    with pytest.raises(
        ExpertFileError, match=r"router: it was trained on 'tiny' \(finger.*'stra"
    ):
        HeadRouter.load(saved, stranger)
    checks = []
    monkeypatch.setattr(SVFModel, "fingerprint", lambda *_: checks.append(1))
    router.posterior([problems(1)[0].messages])
    assert checks == []


# Who reads beside whom


@pytest.mark.parametrize("seed", range(3))
def test_neighbors_and_order_change_no_route(router, seed):
    """Alone, in one batch, in another order, with any neighbours: 1e-5 of a probability."""
    chats = [problem.messages for problem in problems(6)]
    together = router.posterior(chats)
    order = mx.random.permutation(len(chats), key=mx.random.key(seed)).tolist()
    assert_close(router.posterior([chats[i] for i in order]), together[mx.array(order)])
    few = order[:5]
    assert_close(router.posterior([chats[i] for i in few]), together[mx.array(few)])
    alone = mx.concatenate([router.posterior([chats[i]]) for i in few])
    assert_close(alone, together[mx.array(few)])


def test_the_whole_conversation_is_read(tiny_model):
    question = {"role": "user", "content": "my old plum 1 1"}
    before = [{"role": "user", "content": "who"}, {"role": "assistant", "content": "me"}]
    alone, behind = hidden_states(tiny_model, [[question], [*before, question]])
    assert mx.max(mx.abs(alone - behind)).item() > 1e-3 * mx.max(mx.abs(alone)).item()
