"""The sum that looks where experts conflict."""

import mlx.core as mx
from helpers import assert_close

from mlx_t2.experts import Expert, add
from mlx_t2.recipes.merging import add_without_conflict


def expert(*z):
    return Expert("e", {"up": mx.array(z)}, "tiny", "ab12", "up", None, "t", 0, {}, {})


def test_one_experts_change_is_kept_and_a_common_one_is_averaged():
    one, other = expert(2.0, 1.0, 1.4, 1.0), expert(1.0, 1.5, 1.6, 1.0)
    assert_close(add_without_conflict([one, other], 0.0)["up"], mx.array([2, 1.5, 1.5, 1]))


def test_what_is_small_in_an_expert_does_not_count():
    one, other = expert(2.0, 1.1), expert(1.0, 1.5)  # rms of the first is 0.71
    assert_close(add_without_conflict([one, other], 0.5)["up"], mx.array([2, 1.5]))
    assert_close(add_without_conflict([one, other], 0.1)["up"], mx.array([2, 1.3]))


def test_without_overlap_it_is_the_sum():
    one = Expert("e", {"up": mx.array([2.0, 0.5])}, "tiny", "a", "up", None, "t", 0, {}, {})
    other = Expert("f", {"down": mx.array([1.5])}, "tiny", "a", "up", None, "t", 0, {}, {})
    got, expected = add_without_conflict([one, other], 0.0), add([one, other])
    assert got.keys() == expected.keys()
    for path, z in expected.items():
        assert_close(got[path], z)


def test_the_order_of_experts_changes_no_bit():
    one, other = expert(2.0, 1.3, 0.7), expert(1.1, 0.4, 1.6)
    got, turned = add_without_conflict([one, other]), add_without_conflict([other, one])
    assert mx.array_equal(got["up"], turned["up"])
