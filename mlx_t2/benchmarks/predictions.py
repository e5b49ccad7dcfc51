"""Tokens per second on named Macs, predicted from the bytes that a token step reads and the
published bandwidth of each. Nothing here is measured: `t2 bench beside` on such a Mac is.
"""

from dataclasses import dataclass

from mlx_t2.svf import Form

from .forms_read import Shape, count_all, count_quantised, shapes_of_llama

PUBLISHED = {
    "M1": 68.25,
    "M2": 100.0,
    "M3": 100.0,
    "M4": 120.0,
    "M1 Pro": 200.0,
    "M4 Pro": 273.0,
    "M1 Max": 400.0,
    "M2 Max": 400.0,
    "M3 Max (40-core GPU)": 400.0,
    "M4 Max (40-core GPU)": 546.0,
    "M2 Ultra": 800.0,
}
"""{chip: memory bandwidth as Apple publishes it [GB/s]}."""
PREDICTED: tuple[tuple[Form, int], ...] = (
    ("live", 16),
    ("live", 8),
    ("beside", 8),
    ("beside", 4),
)


@dataclass(frozen=True)
class Architecture:
    """What a token step of a 4-bit llama reads."""

    name: str
    mlp: tuple[Shape, ...]
    """The weights that wear scales."""
    rest: float
    """The others, that are read whole: attention and the head [bytes]."""

    @property
    def base_bytes(self) -> float:
        """A token step without an expert."""
        return self.rest + sum(count_quantised(shape.entries, 4) for shape in self.mlp)

    def bytes(self, form: Form, bits: int) -> float:
        """A token step under an expert."""
        return count_all(self.mlp, self.rest, form, bits)


def describe_llama(
    name: str, hidden: int, intermediate: int, layers: int, key_values: int, vocabulary: int
) -> Architecture:
    """A llama in 4 bits: q and o are square, k and v of `key_values` outputs, one head."""
    attention = layers * (2 * hidden**2 + 2 * hidden * key_values)
    rest = count_quantised(attention + vocabulary * hidden, 4)
    return Architecture(name, tuple(shapes_of_llama(hidden, intermediate, layers)), rest)


LLAMA_8B = describe_llama("Llama 3.1 8B", 4096, 14336, 32, 1024, 128256)


def predict_tokens(bandwidth: float, read: float) -> float:
    """The most tokens per second: bandwidth [GB/s] over the bytes of a token step.

    Keys and values, activations and whatever keeps a chip from its bandwidth come on top: the
    ratio of two forms is nearer to the truth than either.

    >>> round(predict_tokens(400, 4.5e9))
    89
    """
    return bandwidth * 1e9 / read


def predict(architecture: Architecture) -> list[tuple[str, float, list[float]]]:
    """(chip, tokens per second of the base, and in each of PREDICTED)."""
    return [
        (
            chip,
            predict_tokens(bandwidth, architecture.base_bytes),
            [predict_tokens(bandwidth, architecture.bytes(*way)) for way in PREDICTED],
        )
        for chip, bandwidth in PUBLISHED.items()
    ]
