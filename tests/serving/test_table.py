"""What can be asked for, and where what is read for it belongs."""

import mlx.core as mx
import pytest
from helpers import assert_close
from orders import make_expert

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError
from mlx_t2.experts import digest_of
from mlx_t2.serving.table import BASE_KEY, ExpertTable, Mixtures, UnknownExpertError, Version
from mlx_t2.svf import BASE


@pytest.fixture
def table(tiny_model):
    experts = {
        "a": make_expert(tiny_model, "a", 1),
        "b-c": make_expert(tiny_model, "b-c", 2),
        "d": make_expert(tiny_model, "d", 3, acts_on="answer"),
    }
    return ExpertTable({n: Version.of(n, e, 0) for n, e in experts.items()})


def test_an_expert_is_worn_as_its_own_arrays(table):
    worn = table.find("a", Mixtures())
    assert worn.adapted.scales is table.versions["a"].expert.scales
    assert worn.strategy == "expert:a"
    assert table.find("1.0*a", Mixtures()) is worn
    assert table.find("b-c", Mixtures()).adapted.label == "b-c"


def test_keys_are_of_content_and_of_the_base_where_it_reads(table):
    mixtures = Mixtures()
    assert table.find("base", mixtures).key == table.find("d", mixtures).key == BASE_KEY
    assert table.find("0.5*d", mixtures).key == BASE_KEY
    keys = {table.find(wear, mixtures).key for wear in ("a", "b-c", "0.5*a", "a + b-c")}
    assert len(keys | {BASE_KEY}) == 5
    worn = table.find("0.5*a - 0.5*b-c", mixtures)
    assert worn.key == digest_of(worn.adapted.scales)
    assert worn.prompt_scales is worn.adapted.scales
    assert table.find("d", mixtures).prompt_scales is BASE


def test_a_sum_is_made_once_whatever_the_order_of_its_terms(table):
    mixtures = Mixtures()
    worn = table.find("0.5*a + 2*b-c", mixtures)
    assert table.find("2*b-c + 0.5*a", mixtures) is worn
    a, b = (table.versions[name].expert.scales for name in ("a", "b-c"))
    for path, z in worn.adapted.scales.items():
        assert_close(z, 1 + 0.5 * (a[path] - 1) + 2 * (b[path] - 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"acts_on": "answer"},
        {"config": {"prompt": [{"role": "system", "content": "answer in words"}]}},
    ],
)
def test_a_sum_follows_its_experts_where_their_z_stay_the_same(table, tiny_model, changes):
    mixtures = Mixtures()
    before = table.find("0.5*a", mixtures)
    new = make_expert(tiny_model, "a", 1, **changes)
    assert new.digest == table.versions["a"].expert.digest
    after = ExpertTable({"a": Version.of("a", new, 0)}).find("0.5*a", mixtures)
    assert before.adapted.acts_on == "all"
    assert before.adapted.prompt == ()
    assert after.adapted.acts_on == new.acts_on
    assert after.adapted.prompt == new.prompt
    assert after.key == (before.key if new.acts_on == "all" else BASE_KEY)


def test_the_oldest_sums_are_forgotten(table):
    mixtures = Mixtures()
    first = table.find("0.5*a", mixtures)
    for k in range(64):
        table.find(f"0.{k + 10}1*a", mixtures)
    assert table.find("0.5*a", mixtures) is not first


def test_what_nobody_has_is_said_with_what_there_is(table):
    with pytest.raises(UnknownExpertError, match=r"'x', 'y': unknown, expected one of: a, b-c"):
        table.find("a + x + y", Mixtures())
    with pytest.raises(UnknownExpertError, match="auto: no expert can be chosen"):
        table.find("auto", Mixtures())
    with pytest.raises(ConfigError, match="of one kind"):
        table.find("a + d", Mixtures())


def test_what_auto_decides_is_worn_as_the_version_of_the_table(table):
    scales = {path: mx.array(z) for path, z in table.versions["d"].expert.scales.items()}
    worn = table.resolve(Adapted(scales, {"d": 1.0}, "d", acts_on="answer"), "auto")
    assert worn.adapted.scales is table.versions["d"].expert.scales
    assert (worn.strategy, worn.key) == ("auto", BASE_KEY)
    other = table.resolve(Adapted({}, {}, "other", acts_on="answer"), "auto")
    assert other.adapted.scales is BASE
    assert other.key == BASE_KEY


def test_an_expert_says_what_it_is(table, tiny_model):
    expert = make_expert(
        tiny_model, "e", 4, description="for lists", metrics={"base": 0.5, "final": 0.7}
    )
    served = Version.of("another", expert, 17).served
    assert (served.name, served.created, served.acts_on) == ("another", 17, "all")
    assert served.digest == expert.digest
    assert served.details["description"] == "for lists"
    assert served.details["metrics"]["final"] == 0.7
