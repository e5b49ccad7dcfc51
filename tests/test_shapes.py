"""What the checker of shapes finds, in functions made as the import hook makes them."""

from collections.abc import Iterator
from dataclasses import dataclass

import jaxtyping
import mlx.core as mx
import pytest
import shapes
from jaxtyping import Float, TypeCheckError

checked = jaxtyping.jaxtyped(typechecker=shapes.check)


@checked
def join(
    a: Float[mx.array, " n"], b: Float[mx.array, " n"], times: float
) -> Float[mx.array, " m"]:
    return mx.concatenate([a, b]) if times else mx.zeros((2, 2))


@checked
def count(text: str) -> int:
    return len(text) if text else None  # type: ignore


@checked
def numbers(text: str) -> Iterator[int]:
    yield from map(int, text)


@checked
@dataclass
class Pair:
    a: Float[mx.array, " n"]
    b: Float[mx.array, " n"]
    rank: int

    @checked
    def take(self, x: Float[mx.array, " {self.rank}"]) -> float:
        return x.sum().item()


def vector(n: int) -> mx.array:
    return mx.ones(n)


def test_what_is_right_passes_and_an_int_stands_for_a_float():
    assert join(vector(2), vector(2), 1).shape == (4,)
    assert (count("four"), list(numbers("12"))) == (4, [1, 2])
    assert Pair(vector(3), vector(3), 2).take(vector(2)) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: join(vector(2), vector(3), 1),
        lambda: join(vector(2), mx.ones((2, 1)), 1),
        lambda: join(vector(2), mx.array([1, 2]), 1),
        lambda: join(vector(2), vector(2), "1"),
        lambda: join(vector(2), vector(2), 0),
        lambda: count(4),
        lambda: count(""),
        lambda: numbers(12),
        lambda: Pair(vector(2), vector(3), 2),
        lambda: Pair(vector(2), vector(2), "2"),
        lambda: Pair(vector(3), vector(3), 2).take(vector(3)),
    ],
)
def test_what_is_not_of_its_shape_or_type_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()


def test_one_call_binds_no_axis_of_another():
    assert [join(vector(n), vector(n), 1).size for n in (1, 2, 3)] == [2, 4, 6]


@pytest.mark.whole_runs
def test_whole_runs_are_not_checked():
    assert join(vector(2), vector(2), 0).shape == (2, 2)
    assert count("") is None
