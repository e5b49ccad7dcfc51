"""From names to a strategy: what fits, what the model still lacks, what changes nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer

from mlx_t2.adaptation import (
    Chosen,
    Fixed,
    Mixed,
    prepare_every,
    prepare_experts,
    prepare_strategy,
    route_among,
    strategy_of,
)
from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Library
from mlx_t2.models import SVFModel
from mlx_t2.routing import HeadRouter
from mlx_t2.svf import Recipe
from mlx_t2.tasks import Problem

TOKENS = mx.array([[5, 6, 7, 8, 9]])


@pytest.fixture
def decompositions(monkeypatch) -> list[Recipe]:
    """The recipe of every decomposition that is begun from here on."""
    recipes, decompose = [], SVFModel.decompose

    def counted(self, recipe=None):
        recipes.append(recipe)
        return decompose(self, recipe)

    monkeypatch.setattr(SVFModel, "decompose", counted)
    return recipes


@pytest.fixture
def library(tmp_path, experts) -> Library:
    """A folder with the three experts."""
    for name, expert in experts.items():
        expert.save(tmp_path / f"{name}.safetensors")
    return Library(tmp_path, bundled=None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The file of a router of all three domains, trained once."""
    domains = ("largest", "expression", "kind", "other")
    examples = [
        Problem(f"{d}/{i}", ({"role": "user", "content": f"{d} {i}"},), "", "", d)
        for d in domains
        for i in range(3)
    ]
    path = tmp_path_factory.mktemp("router") / "router.safetensors"
    HeadRouter.train(fresh(), examples, examples).save(path)
    return path


@pytest.fixture
def router(library, tiny_model, trained) -> HeadRouter:
    """Beside the experts."""
    shutil.copyfile(trained, library.router_paths()[0])
    return HeadRouter.load(trained, tiny_model)


def fresh(seed=0) -> SVFModel:
    return SVFModel("tiny", tiny_network(seed), tiny_tokenizer())


def logits(model, scales):
    with model.using(scales):
        return model.logits_at(TOKENS, None, mx.arange(TOKENS.size))


def state(model):
    return model.targets, model.rank, model.shapes, model.worn


# Names


def test_a_name_gives_its_expert(tiny_model, library, experts):
    strategy = prepare_strategy(tiny_model, library, coefficients={"kind": 1.0}).finish()
    assert strategy.name == "expert:kind"
    (adapted,) = strategy.adapt([[]])
    assert all(mx.array_equal(adapted.scales[p], z) for p, z in experts["kind"].scales.items())


@pytest.mark.parametrize(
    ("adaptation", "kind", "name"),
    [
        ("none", Fixed, "none"),
        ("off", Fixed, "none"),
        ("sum", Fixed, "sum"),
        ("prompt", Chosen, "prompt"),
    ],
)
def test_an_adaptation_goes_by_its_name(tiny_model, library, adaptation, kind, name):
    strategy = prepare_strategy(tiny_model, library, adaptation=adaptation).finish()
    assert isinstance(strategy, kind)
    assert strategy.name == name


@pytest.mark.parametrize(
    ("adaptation", "kind"), [("auto", Chosen), ("classifier", Chosen), ("mixture", Mixed)]
)
def test_a_router_beside_the_experts_is_found(tiny_model, library, router, adaptation, kind):
    strategy = prepare_strategy(tiny_model, library, adaptation=adaptation).finish()
    assert isinstance(strategy, kind)
    (adapted,) = strategy.adapt([[{"role": "user", "content": "kind 1"}]])
    assert set(adapted.scores) == set(router.labels)


def test_unknown_names_are_refused(tiny_model, library):
    with pytest.raises(
        ConfigError, match="adaptation: got 'best', expected one of auto, prompt, cla"
    ):
        prepare_strategy(tiny_model, library, adaptation="best")
    with pytest.raises(ConfigError, match="expert 'nobody': unknown, expected one of: expr"):
        prepare_strategy(tiny_model, library, coefficients={"nobody": 1.0})


def test_without_an_expert_of_the_model_nothing_can_be_chosen(library):
    with pytest.raises(
        ConfigError, match=f"{library.own}: no expert of tiny, expected at least"
    ):
        prepare_strategy(fresh(seed=3), library, adaptation="sum")


def test_of_a_library_with_both_kinds_one_is_chosen_from_and_the_others_are_named(
    tiny_model, library, router, experts
):
    def prepare(adaptation, *answering):
        for name, expert in experts.items():
            kind = "answer" if name in answering else "all"
            replace(expert, acts_on=kind).save(library.own / f"{name}.safetensors")
        return prepare_strategy(tiny_model, library, adaptation=adaptation)

    for adaptation in ("sum", "prompt", "classifier", "mixture"):
        one = prepare(adaptation, "kind")
        assert one.strategy.acts_on == "all"
        assert [(out.name, out.why) for out in one.passed_over] == [
            (
                "kind",
                "expert 'kind': acts on the answer alone, those that are chosen from on all of "
                "a conversation. Wear it by its name (--expert kind)",
            )
        ]
        two = prepare(adaptation, "kind", "largest")
        assert two.strategy.acts_on == "answer"
        assert [out.name for out in two.passed_over] == ["expression"]
        assert prepare(adaptation, *experts).strategy.acts_on == "answer"
    (library.own / "expression.safetensors").unlink()
    del experts["expression"]
    assert prepare("sum", "kind").strategy.acts_on == "answer"  # one of each


def test_an_expert_worn_by_name_acts_on_what_it_says(tiny_model, library, experts):
    replace(experts["kind"], acts_on="answer").save(library.own / "kind.safetensors")
    for name, kind in (("kind", "answer"), ("largest", "all")):
        strategy = prepare_strategy(tiny_model, library, coefficients={name: 1.0}).strategy
        assert strategy.acts_on == strategy.adapt([[]])[0].acts_on == kind
    with pytest.raises(ConfigError, match="mix: 'kind' acts on the answer alone and 'largest'"):
        prepare_strategy(tiny_model, library, coefficients={"kind": 0.5, "largest": 0.5})


# Decomposing only what is missing


def test_a_model_that_is_ready_is_not_decomposed_anew(tiny_model, library, decompositions):
    for name in ("largest", "kind", "largest"):
        preparation = prepare_strategy(tiny_model, library, coefficients={name: 1.0})
        assert (preparation.recipe, preparation.total) == (None, 0)
        assert list(preparation.decompose()) == []
    prepare_strategy(tiny_model, library, adaptation="sum").finish()
    assert decompositions == []


def test_a_model_with_more_layers_than_needed_is_ready(library, decompositions):
    model = fresh()
    list(model.decompose(Recipe(targets="all")))
    prepare_strategy(model, library, adaptation="sum").finish()
    assert len(decompositions) == 1


def test_a_model_that_lacks_something_reports_each_weight_once(library, decompositions):
    model = fresh()
    preparation = prepare_strategy(model, library, coefficients={"largest": 1.0})
    assert model.shapes == {}
    assert preparation.total == 6
    reports = list(preparation.decompose())
    assert [report.index for report in reports] == [1, 2, 3, 4, 5, 6]
    assert decompositions == [Recipe()]
    with model.using(preparation.strategy.adapt([[]])[0].scales):
        pass


def test_a_basis_of_given_bits_is_made_anew(tiny_model, library, decompositions):
    prepare_strategy(tiny_model, library, coefficients={"kind": 1.0}, basis_bits=16).finish()
    assert [recipe.bits for recipe in decompositions] == [16]


def test_experts_of_unlike_targets_are_worn_together(make_expert):
    model = fresh()
    parts = {"mlp": make_expert("mlp", 1), "attention": make_expert("att", 2, "attention")}
    strategy = prepare_experts(model, parts, dict.fromkeys(parts, 1.0)).finish()
    scales = strategy.adapt([[]])[0].scales
    assert scales.keys() == parts["mlp"].scales.keys() | parts["attention"].scales.keys()
    every = fresh()
    list(every.decompose(Recipe(targets="all")))
    together = {path: z for part in parts.values() for path, z in part.scales.items()}
    assert_close(logits(model, scales), logits(every, together))


def test_the_name_of_the_wider_targets_is_kept(make_expert):
    model = fresh()
    parts = {"mlp": make_expert("mlp", 1), "all": make_expert("all", 2, "all")}
    prepare_experts(model, parts, dict.fromkeys(parts, 1.0)).finish()
    assert model.targets == "all"


@pytest.mark.parametrize(("ranks", "worn"), [((4, None), None), ((4, 9), 9), ((4, 4), 4)])
def test_the_largest_rank_serves_all(make_expert, ranks, worn):
    short, long = (make_expert(str(k), k, rank=rank) for k, rank in enumerate(ranks))
    model = fresh()
    both = {"short": short, "long": long}
    preparation = prepare_experts(model, both, {"short": 1.0, "long": 0.0})
    scales = preparation.finish().adapt([[]])[0].scales
    assert model.rank == worn
    own = fresh()
    list(own.decompose(Recipe(rank=4)))
    assert_close(logits(model, scales), logits(own, short.scales))


def test_an_expert_of_a_smaller_rank_is_worn_by_a_model_of_a_larger(tiny_model, make_expert):
    short = make_expert("short", 1, rank=4)
    preparation = prepare_experts(tiny_model, {"short": short}, {"short": 1.0})
    assert preparation.recipe is None
    for path, z in preparation.strategy.adapt([[]])[0].scales.items():
        assert mx.array_equal(z[:4], short.scales[path])
        assert mx.array_equal(z[4:], mx.ones(tiny_model.shapes[path][0] - 4))


# Validated before anything is changed


def broken(experts, make_expert):
    """Requests that cannot be met, and what is said."""
    stranger = replace(experts["kind"], base_model="big", base_fingerprint="cd34" * 16)
    misfit = replace(experts["kind"], scales={"model.layers.0.mlp.up_proj": mx.ones(7)})
    attention = make_expert("att", 2, "attention")
    yield {"a": stranger}, ExpertFileError, "expert 'kind' .*: was trained on 'big'"
    yield {"a": attention, "b": stranger}, ExpertFileError, "was trained on 'big'"
    yield {"a": attention, "b": misfit}, ExpertFileError, "up_proj: got 7 singular-value scales"
    yield {"a": attention, "other": experts["kind"]}, ConfigError, "none called 'other'"
    nowhere = replace(attention, targets="nowhere")
    yield {"a": nowhere}, ConfigError, "targets: 'nowhere' matches no linear layer"


@pytest.mark.parametrize("case", range(5))
def test_what_is_refused_changes_nothing(
    tiny_model, experts, make_expert, decompositions, case
):
    wanted, error, text = list(broken(experts, make_expert))[case]
    worn = random_scales(tiny_model.shapes, 5)
    with tiny_model.using(worn):
        before = state(tiny_model)
        with pytest.raises(error, match=text):
            prepare_experts(tiny_model, wanted, dict.fromkeys(wanted, 1.0))
        assert state(tiny_model) == before
    assert decompositions == []


def test_bits_that_do_not_exist_are_refused(tiny_model, library, decompositions):
    with pytest.raises(ConfigError, match="basis bits: got 7, expected 32, 16, 8 or 4"):
        prepare_strategy(tiny_model, library, adaptation="sum", basis_bits=7)
    assert decompositions == []


def test_a_missing_router_is_named(tiny_model, library):
    with pytest.raises(ExpertFileError, match=r"router\.safetensors: cannot be read \(no such"):
        prepare_strategy(tiny_model, library, adaptation="classifier")


# Passing over


def test_what_does_not_fit_is_passed_over_by_name(tiny_model, library, router, experts):
    kind = experts["kind"]
    (library.own / "burnt.safetensors").write_bytes(b"ashes")
    kind.save(library.own / "other.safetensors")
    kind.save(library.own / "poetry.safetensors")
    misfit = {"model.layers.0.mlp.up_proj": mx.ones(7)}
    replace(kind, scales=misfit).save(library.own / "misfit.safetensors")
    replace(kind, base_model="big", base_fingerprint="cd34").save(
        library.own / "big.safetensors"
    )
    preparation = prepare_strategy(tiny_model, library, adaptation="classifier")
    why = {one.name: one.why for one in preparation.passed_over}
    assert why.keys() == {"burnt", "other", "misfit", "poetry"}
    assert "burnt.safetensors: not usable" in why["burnt"]
    assert "up_proj: got 7 singular-value scales" in why["misfit"]
    assert why["poetry"].startswith("expert 'poetry': the router knows expression, kind,")
    assert why["poetry"].endswith("or train a router that knows it: t2 router")


def test_experts_of_other_models_are_worn_only_where_transfer_is_allowed(
    library, decompositions
):
    model = fresh(seed=3)
    preparation = prepare_strategy(model, library, adaptation="sum", allow_transfer=True)
    assert {expert.name for expert in preparation.transferred} == {
        "expression",
        "kind",
        "largest",
    }
    preparation.finish()
    assert len(decompositions) == 1
    with pytest.raises(ExpertFileError, match="was trained on 'tiny'"):
        prepare_strategy(model, library, coefficients={"kind": 1.0})


def test_a_router_that_knows_no_expert_is_refused(tiny_model, library, router, experts):
    for name in experts:
        (library.own / f"{name}.safetensors").rename(library.own / f"my-{name}.safetensors")
    with pytest.raises(ConfigError, match=r"router: it knows .*, the experts are my-expr"):
        prepare_strategy(tiny_model, library, adaptation="mixture")


def test_a_router_is_read_from_the_file_that_is_named(tiny_model, library, router, tmp_path):
    elsewhere = tmp_path / "elsewhere.safetensors"
    library.router_paths()[0].rename(elsewhere)
    found = prepare_strategy(tiny_model, library, adaptation="auto", router=elsewhere).finish()
    assert found.threshold == router.threshold
    with pytest.raises(ExpertFileError, match=r"gone: cannot be read \(no such file\)"):
        prepare_strategy(tiny_model, library, adaptation="auto", router=tmp_path / "gone")


@pytest.mark.parametrize("adaptation", ["sum", "prompt", "classifier", "mixture"])
def test_what_the_router_does_not_know_is_in_no_strategy_over_all_experts(
    tiny_model, library, router, experts, adaptation
):
    """A sum of chat experts and of one whose task's options are scored is neither."""
    experts["kind"].save(library.own / "arc-easy.safetensors")
    preparation = prepare_strategy(tiny_model, library, adaptation=adaptation)
    (out,) = preparation.passed_over
    assert (out.name, out.is_bundled) == ("arc-easy", False)
    assert out.why.startswith("expert 'arc-easy': the router knows expression, kind, largest")
    if adaptation == "sum":
        (adapted,) = preparation.finish().adapt([[]])
        assert set(adapted.coefficients) == set(experts)


@pytest.mark.parametrize("fault", ["none there", "damaged", "of none of them"])
def test_without_a_router_that_says_which_a_sum_is_of_all_experts(
    tiny_model, library, router, experts, fault
):
    (path,) = library.router_paths()
    if fault == "none there":
        path.unlink()
    elif fault == "damaged":
        path.write_bytes(b"ashes")
    else:
        for name in experts:
            (library.own / f"{name}.safetensors").rename(library.own / f"my-{name}.safetensors")
    preparation = prepare_strategy(tiny_model, library, adaptation="sum")
    assert not preparation.passed_over
    assert len(preparation.strategy.adapt([[]])[0].coefficients) == len(experts)


def test_a_bundled_expert_that_is_worn_by_name_is_marked_as_such(
    tiny_model, library, router, experts, monkeypatch
):
    monkeypatch.setattr("mlx_t2.experts.library.BUNDLED", library.own)
    for name in ("arc-easy", "burnt"):
        experts["kind"].save(library.own / f"{name}.safetensors")
    (library.own / "burnt.safetensors").write_bytes(b"ashes")
    passed_over = prepare_strategy(tiny_model, library, adaptation="auto").passed_over
    assert {one.name: one.is_bundled for one in passed_over} == {
        "burnt": False,
        "arc-easy": True,
    }


# The same model by another name


def test_a_router_is_found_by_fingerprint_whatever_the_model_is_called(
    tiny_model, library, router, tmp_path
):
    """Bundled beside routers of other models; an own one that is damaged is not in the way."""
    bundled = tmp_path / "bundled"
    for name in ("a-model", "tiny", "z-model"):
        (bundled / name).mkdir(parents=True)
    (bundled / "a-model" / "router.safetensors").write_bytes(b"of another model")
    library.router_paths()[0].rename(bundled / "z-model" / "router.safetensors")
    both = Library(library.own, bundled=bundled)
    tiny_model.name = "/home/somebody/models/tiny"
    assert prepare_strategy(tiny_model, both, adaptation="classifier").finish().name
    (library.own / "router.safetensors").write_bytes(b"ashes")
    assert prepare_strategy(tiny_model, both, adaptation="classifier").finish().name
    (bundled / "z-model" / "router.safetensors").unlink()
    with pytest.raises(ExpertFileError, match=r"library: no router of /home(.|\n)*passed over"):
        prepare_strategy(tiny_model, both, adaptation="classifier")


@pytest.mark.parametrize("adaptation", ["sum", "mixture", "classifier", "prompt"])
def test_experts_of_unlike_targets_and_names_of_the_model_go_together(
    library, router, make_expert, adaptation
):
    attention = make_expert("kind", 2, "attention")
    replace(attention, base_model="./tiny").save(library.own / "kind.safetensors")
    strategy = prepare_strategy(fresh(), library, adaptation=adaptation).finish()
    (adapted,) = strategy.adapt([[{"role": "user", "content": "kind 1"}]])
    if adaptation == "sum":
        assert adapted.coefficients.keys() == {"kind", "largest", "expression"}


# Python


def test_an_expert_or_a_strategy_or_nothing_is_all_it_takes(experts, decompositions):
    model = fresh()
    assert strategy_of(model, None).name == "none"
    assert decompositions == []
    assert strategy_of(model, experts["kind"]).name == "expert:kind"
    assert len(decompositions) == 1
    strategy = Fixed.sum(experts)
    assert strategy_of(model, strategy) is strategy
    assert len(decompositions) == 1


# For whoever wears each by its name


def test_every_expert_is_made_ready_whatever_it_acts_on(library, make_expert, tiny_model):
    make_expert("another", 7, targets="attention", acts_on="answer").save(
        library.own / "another.safetensors"
    )
    model = fresh()
    preparation, experts = prepare_every(model, library)
    assert set(experts) == {"largest", "expression", "kind", "another"}
    preparation.finish()
    assert {path for e in experts.values() for path in e.scales} <= set(model.shapes)
    again, _ = prepare_every(model, library)
    assert again.recipe is None


def test_without_experts_it_is_the_base(tmp_path):
    preparation, experts = prepare_every(fresh(), Library(tmp_path, bundled=None))
    assert experts == {}
    assert preparation.recipe is None
    assert preparation.strategy.adapt([()])[0].scales == {}


def test_auto_chooses_among_the_experts_that_the_router_knows(
    library, router, make_expert, tiny_model
):
    _, experts = prepare_every(tiny_model, library)
    stranger = make_expert("stranger", 5)
    chosen, without = route_among(tiny_model, library, {**experts, "stranger": stranger})
    assert [one.name for one in without] == ["stranger"]
    assert chosen.name == "auto"
    scores = {"kind": 0.9, "largest": 0.0, "expression": 0.0, "other": 0.1}
    assert chosen.wear("kind", scores).scales is experts["kind"].scales
    with pytest.raises(ConfigError):
        route_among(tiny_model, library, {"stranger": stranger})
    with pytest.raises(ExpertFileError, match="t2 router"):
        route_among(tiny_model, Library(library.own / "nowhere", bundled=None), experts)
