"""A language model that can wear scales. Knows no experts as files, no sampling, no tasks.

`with model.using(scales):` is the only way its weights change, and they change back when the
block ends.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer

from mlx_t2 import blas
from mlx_t2.errors import ModelError
from mlx_t2.folders import cache_dir
from mlx_t2.svf import (
    Basis,
    BasisCache,
    Linear,
    Scales,
    SVFLinear,
    Targets,
    check_finite,
    check_scales,
    decompose_weight,
    dense_weight,
    install,
    uninstall,
    weight_key,
)

_STREAMS = 2
"""Weights decomposed at once, each on a CPU stream of its own with one BLAS thread."""


@dataclass(frozen=True)
class Decomposed:
    """One weight is decomposed."""

    path: str
    index: int
    """1 for the first."""
    total: int
    cached: bool
    """The basis was on disk already."""
    seconds: float
    """Since the start of the whole decomposition."""
    bytes: int
    """Of the basis."""


class SVFModel:
    """An mlx-lm network with its tokenizer, whose targeted layers wear scales after
    `decompose`.
    """

    def __init__(
        self, name: str, network: nn.Module, tokenizer: Any, keys: dict[str, str] | None = None
    ):
        """keys: what each linear weight's key was as it was loaded, where loading has changed
        its form.
        """
        self.name = name
        self.network = network
        self.tokenizer = tokenizer
        self.targets: str | None = None
        self.rank: int | None = None
        self._keys = dict(keys or {})
        self._layers: dict[str, SVFLinear] = {}
        self._split = _split(network)

    # Decomposition

    @property
    def ranks(self) -> dict[str, int]:
        """{module path: length of z} of the layers that wear scales."""
        return {path: layer.rank for path, layer in self._layers.items()}

    def targeted(self, targets: str = "mlp") -> list[str]:
        """The module paths that `decompose` would give scales to; ConfigError for none."""
        return list(Targets(targets).select(self.network))

    def fingerprint(self, targets: str = "mlp") -> str:
        """A hash over the names and loaded bytes of the targeted weights."""
        digest = hashlib.sha256()
        for path, layer in Targets(targets).select(self.network).items():
            digest.update(f"{path} {self._key(path, layer)}\n".encode())
        return digest.hexdigest()

    def _key(self, path: str, layer: Linear) -> str:
        if path not in self._keys:
            self._keys[path] = weight_key(layer)
        return self._keys[path]

    def decompose(self, targets: str = "mlp", rank: int | None = None) -> Iterator[Decomposed]:
        """Compute the basis of every targeted weight, or read it from the cache; then install
        SVF layers.

        Yields one report a weight. Stopped half-way, it has changed nothing but the cache, and
        goes on there.
        Raises: ConfigError for targets that match nothing or a cache that cannot be written;
        ModelError for a weight that is not finite.
        """
        start = time.perf_counter()
        uninstall(self.network)
        self._layers, self.targets, self.rank = {}, None, None
        chosen = Targets(targets).select(self.network)
        bases: dict[str, Basis] = {}
        for path, basis, cached in self._bases(chosen, rank):
            bases[path] = basis
            seconds = time.perf_counter() - start
            yield Decomposed(
                path, len(bases), len(chosen), cached, seconds, basis.q.nbytes + basis.s.nbytes
            )
        self._layers = install(self.network, {path: bases[path] for path in chosen})
        self.targets, self.rank = targets, rank

    def _bases(
        self, chosen: dict[str, Any], rank: int | None
    ) -> Iterator[tuple[str, Basis, bool]]:
        cache = BasisCache(cache_dir() / "bases")
        missing = []
        for path, layer in chosen.items():
            basis = cache.read(self._key(path, layer), rank)
            if basis is None:
                missing.append(path)
            else:
                yield path, basis, True
        streams = [mx.new_stream(mx.Device(mx.cpu)) for _ in range(_STREAMS)]
        with blas.threads(1):
            for first in range(0, len(missing), _STREAMS):
                paths = missing[first : first + _STREAMS]
                weights = [dense_weight(chosen[path]) for path in paths]
                mx.eval(weights)  # bounds memory: only these weights are dense at a time
                for path, weight in zip(paths, weights, strict=True):
                    check_finite(path, weight)
                pairs = zip(weights, streams, strict=False)
                found = [decompose_weight(weight, stream, rank) for weight, stream in pairs]
                mx.async_eval([(basis.q, basis.s) for basis in found])
                for path, basis in zip(paths, found, strict=True):
                    cache.write(self._key(path, chosen[path]), rank, basis)
                    yield path, basis, False

    # Wearing scales

    @property
    def worn(self) -> Scales:
        """The scales now in force; a missing path is the base weight."""
        return {path: layer.z for path, layer in self._layers.items() if layer.z is not None}

    def wear(self, scales: Scales) -> None:
        """Put these scales on, and nothing else. Prefer `using`, which takes them off again."""
        check_scales(scales, self.ranks)
        for path, layer in self._layers.items():
            layer.wear(scales.get(path))

    @contextmanager
    def using(self, scales: Scales, folded: bool = False) -> Iterator[None]:
        """Wear `scales` inside the block: live, or folded into the weights, which then cost
        what the base costs.

        A missing path is the base weight, bit for bit. Live scales may be (rows, rank): row b
        of a batch wears row b. Folded ones are (rank,), and are materialised in the dtype of
        the activations.
        """
        before = self.worn
        self.wear(scales)
        bases = self._fold() if folded else {}
        try:
            yield
        finally:
            for path, base in bases.items():
                self._layers[path].base = base
            self.wear(before)

    def _fold(self) -> dict[str, Linear]:
        """Swap in W' for every layer that wears scales; returns the bases that were there."""
        bases = {}
        for path, layer in self._layers.items():
            if layer.z is None:
                continue
            folded = nn.Linear(1, 1, bias="bias" in layer.base)
            folded.weight = layer.folded_weight(dense_weight(layer.base)).astype(layer.dtype)
            if "bias" in layer.base:
                folded.bias = layer.base.bias
            bases[path], layer.base = layer.base, folded
            layer.wear(None)
        mx.eval(
            *[self._layers[path].base.weight for path in bases]
        )  # once, not in the first token
        return bases

    # Tokens

    @property
    def eos_ids(self) -> set[int]:
        """The tokens that end an answer."""
        return set(self.tokenizer.eos_token_ids)

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """A conversation → token ids, up to where the assistant's next answer begins."""
        return list(
            self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True)
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids → text, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    # Forward

    def hidden(
        self, tokens: Integer[mx.array, "B T"], cache: list | None = None
    ) -> Float[mx.array, "B T hidden"]:
        """The last layer's states after the final norm. Raises ModelError where mlx-lm does not
        separate them.
        """
        if self._split is None:
            raise ModelError(
                f"{self.name}: mlx-lm does not give this architecture's hidden states"
            )
        return self._split[0](tokens, cache=cache)

    def extend(self, tokens: Integer[mx.array, "B T"], cache: list) -> None:
        """Read `tokens` into `cache`; nothing is scored."""
        (self._split[0] if self._split else self.network)(tokens, cache=cache)

    def logits_at(
        self, tokens: Integer[mx.array, "B T"], cache: list | None, at: Integer[mx.array, " N"]
    ) -> Float[mx.array, "N vocabulary"]:
        """Float32 scores of the next token, only at flat positions `at` (row · T + column)."""
        if self._split is None:
            scores = self.network(tokens, cache=cache)
            return scores.reshape(-1, scores.shape[-1])[at].astype(mx.float32)
        body, head = self._split
        states = body(tokens, cache=cache)
        return head(states.reshape(-1, states.shape[-1])[at]).astype(mx.float32)


def decompose(model: SVFModel, targets: str = "mlp", rank: int | None = None) -> SVFModel:
    """Give the model SVF layers, without watching; returns it. See `SVFModel.decompose`."""
    for _ in model.decompose(targets, rank):
        pass
    return model


def _split(network: nn.Module) -> tuple[Callable, Callable] | None:
    """(body, head) with head(body(x)) = network(x), or None where that does not hold.

    Some architectures scale or cap the logits outside the head; one token shows it.
    """
    body = network.get("model")
    if body is None:
        return None
    head = network.get("lm_head") or getattr(body.get("embed_tokens"), "as_linear", None)
    if head is None:
        return None
    token = mx.array([[0]])
    try:
        same = mx.array_equal(head(body(token)), network(token)).item()
    except (TypeError, ValueError, AttributeError):
        return None
    return (body, head) if same else None
