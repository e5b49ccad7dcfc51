"""A language model that can wear scales. Knows no experts as files, no sampling, no tasks.

`with model.using(scales):` is the only way its weights change, and they change back when the
block ends.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer
from mlx_lm.models.cache import make_prompt_cache

from mlx_t2.errors import ConfigError, ModelError
from mlx_t2.folders import cache_dir
from mlx_t2.svf import (
    BaseLayer,
    Basis,
    BasisCache,
    Form,
    Plan,
    Recipe,
    Scales,
    Shapes,
    SVFLayer,
    Targets,
    cheaper_form,
    check_scales,
    count_operations,
    decompose_each,
    fold_layers,
    install_layers,
    plan_decomposition,
    unfold_layers,
    uninstall_layers,
    weight_key,
)

from .kv_cache import OwnedCache


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
    seconds_left: float
    """For the weights to come, at the pace so far, as if none of them were on disk."""
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
        self.singular_values: Scales = {}
        """{module path: s} of the layers that wear scales, descending."""
        self._keys = dict(keys or {})
        self._layers: dict[str, SVFLayer] = {}
        self._worn: Scales = {}
        self._bases: dict[str, BaseLayer] = {}
        """What folded layers had before."""
        self._folded_as: tuple[int, bool] | None = None

    @cached_property
    def _split(self) -> tuple[Callable, Callable] | None:
        """Body and head of the network, which is run once to find out: not before it is asked
        for, since its weights may be on disk still.
        """
        with self.using({}):
            return _split(self.network)

    # Decomposition

    @property
    def shapes(self) -> Shapes:
        """{module path: shape of z} of the layers that wear scales."""
        return {path: layer.shape for path, layer in self._layers.items()}

    @property
    def basis_bytes(self) -> int:
        """Of the singular vectors kept beside the weights."""
        return sum(layer.basis_bytes for layer in self._layers.values())

    def plan(self, recipe: Recipe | None = None) -> Plan:
        """What `decompose` would do and need; nothing is computed. Raises as it does."""
        return plan_decomposition(self.network, recipe or Recipe())

    def targeted(self, targets: str = "mlp") -> list[str]:
        """The module paths that `decompose` would give scales to; ConfigError for none."""
        return list(Targets(targets).select(self.network))

    def fingerprint(self, targets: str = "mlp") -> str:
        """A hash over the names and loaded bytes of the targeted weights."""
        digest = hashlib.sha256()
        for path, layer in Targets(targets).select(self.network).items():
            digest.update(f"{path} {self._key(path, layer)}\n".encode())
        return digest.hexdigest()

    def _key(self, path: str, layer: BaseLayer) -> str:
        if path not in self._keys:
            self._keys[path] = weight_key(layer)
        return self._keys[path]

    def decompose(self, recipe: Recipe | None = None) -> Iterator[Decomposed]:
        """Compute the basis of every targeted weight, or read it from the cache; then install
        SVF layers.

        Yields one report a weight. Stopped half-way, the model is the base model, and the next
        time goes on from the cache.
        Raises: ConfigError for targets that match nothing or a cache that cannot be written;
        ModelError for a weight that is not finite, or an architecture that cannot wear scales.
        """
        recipe = recipe or Recipe()
        chosen = Targets(recipe.targets).select(self.network)
        self.wear({})
        uninstall_layers(self.network)
        self._layers, self.targets, self.rank, self.singular_values = {}, None, None, {}
        bases: dict[str, Basis] = {}
        for report, basis in self._decomposing(chosen, recipe):
            bases[report.path] = basis
            yield report
        ordered = {path: bases[path] for path in chosen}
        self.singular_values = {path: basis.s for path, basis in ordered.items()}
        layers = install_layers(self.network, ordered, recipe.bits)
        self.take_layers(layers, recipe.targets, recipe.rank)

    def take_layers(
        self, layers: Mapping[str, Any], targets: str, rank: int | None = None
    ) -> None:
        """Know these layers, which are in the network, as those that wear scales: SVF layers,
        or others that can be used as they are.
        """
        self._layers, self.targets, self.rank = dict(layers), targets, rank

    def precompute(self, recipe: Recipe | None = None) -> Iterator[Decomposed]:
        """Fill the cache as `decompose` would, giving each weight up once its basis is written:
        of a lazily loaded model, a few weights are in memory at a time.

        The model is of no use afterwards.
        """
        recipe = recipe or Recipe()
        chosen = Targets(recipe.targets).select(self.network)
        for report, _ in self._decomposing(chosen, recipe):
            chosen[report.path].clear()
            yield report

    def _decomposing(
        self, chosen: dict[str, BaseLayer], recipe: Recipe
    ) -> Iterator[tuple[Decomposed, Basis]]:
        start, done, computed = time.perf_counter(), 0.0, 0.0
        works = {path: count_operations(layer) for path, layer in chosen.items()}
        cache = BasisCache(
            cache_dir() / "bases", recipe.rank, recipe.precision, recipe.bits or 32
        )
        found = decompose_each(chosen, lambda path: self._key(path, chosen[path]), cache)
        for index, one in enumerate(found, 1):
            seconds = time.perf_counter() - start
            done += works[one.path]
            computed += 0.0 if one.cached else works[one.path]
            left = seconds * (sum(works.values()) - done) / computed if computed else 0.0
            size = one.basis.nbytes
            yield (
                Decomposed(one.path, index, len(chosen), one.cached, seconds, left, size),
                one.basis,
            )

    # Wearing scales

    @property
    def worn(self) -> Scales:
        """The scales now in force, live or folded; a missing path is the base weight."""
        return dict(self._worn)

    @property
    def has_rows(self) -> bool:
        """Each row of a batch wears its own scales."""
        return any(layer.has_rows for layer in self._layers.values())

    @property
    def form(self) -> Form:
        """How the scales now in force are worn."""
        return "live" if self._folded_as is None else "folded"

    def wear(self, scales: Scales) -> None:
        """Put these scales on, live, and nothing else. Prefer `using`, which takes them off
        again.
        """
        check_scales(scales, self.shapes)
        self._unfold()
        self._worn = dict(scales)
        for path, layer in self._layers.items():
            layer.wear(scales.get(path))

    def form_for(self, scales: Scales, tokens: int, steps: int) -> Form:
        """The cheaper way to wear `scales` for a prompt of so many tokens and so many steps
        after it; see `svf.cheaper_form`. Rows with scales of their own can only be live.
        """
        check_scales(scales, self.shapes)
        layers = [self._layers[path] for path in scales]
        if any(z.ndim > len(self._layers[p].shape) for p, z in scales.items()):
            return "live"
        return cheaper_form(layers, tokens, steps)

    @contextmanager
    def using(
        self, scales: Scales, form: Form = "live", bits: int = 16, force: bool = False
    ) -> Iterator[None]:
        """Wear `scales` inside the block: live, or folded into the weights, which then cost
        what the base costs. Whatever was worn before is worn again afterwards.

        A missing path is the base weight, bit for bit. Live scales may be (rows, *shape): row b
        of a batch wears row b. Folded ones are one for all rows.

        bits: of the folded weights: 16 is the dtype of the activations; 8 rounds; fewer have to
            be forced, see `svf.folded_layer`.
        """
        before, was_folded = self._worn, self._folded_as
        self.wear(scales)
        try:
            if form == "folded":
                self._fold(bits, force)
            yield
        finally:
            self.wear(before)
            if was_folded is not None:
                self._fold(*was_folded)

    def _fold(self, bits: int, force: bool) -> None:
        if self.has_rows:
            raise ConfigError(
                "folding: each row wears its own scales, expected one z for all of them"
            )
        layers = {path: self._layers[path] for path in self._worn}
        self._bases = dict(zip(layers, fold_layers(layers.values(), bits, force), strict=True))
        self._folded_as = bits, force

    def _unfold(self) -> None:
        unfold_layers([self._layers[path] for path in self._bases], self._bases.values())
        self._bases, self._folded_as = {}, None

    # Caches

    def new_cache(self) -> OwnedCache:
        """Empty key-value caches of one sequence, which belong to the scales worn now."""
        return self.owned(make_prompt_cache(self.network))

    def owned(self, caches: list) -> OwnedCache:
        """Empty caches of any kind, made to belong to the scales worn now."""
        return OwnedCache(caches, self.worn, self.shapes)

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

    # Forward; a cache that belongs to other scales than those worn is refused

    def hidden(
        self, tokens: Integer[mx.array, "B T"], cache: list | None = None
    ) -> Float[mx.array, "B T hidden"]:
        """The last layer's states after the final norm. Raises ModelError where mlx-lm does not
        separate them.
        """
        _check(cache, self._worn)
        if self._split is None:
            raise ModelError(
                f"{self.name}: mlx-lm does not give this architecture's hidden states"
            )
        return self._split[0](tokens, cache=cache)

    def extend(self, tokens: Integer[mx.array, "B T"], cache: list) -> None:
        """Read `tokens` into `cache`; nothing is scored."""
        _check(cache, self._worn)
        (self._split[0] if self._split else self.network)(tokens, cache=cache)

    def logits_at(
        self, tokens: Integer[mx.array, "B T"], cache: list | None, at: Integer[mx.array, " N"]
    ) -> Float[mx.array, "N vocabulary"]:
        """Float32 scores of the next token, only at flat positions `at` (row · T + column)."""
        _check(cache, self._worn)
        if self._split is None:
            scores = self.network(tokens, cache=cache)
            return scores.reshape(-1, scores.shape[-1])[at].astype(mx.float32)
        body, head = self._split
        states = body(tokens, cache=cache)
        return head(states.reshape(-1, states.shape[-1])[at]).astype(mx.float32)


def decompose(model: SVFModel, targets: str = "mlp", rank: int | None = None) -> SVFModel:
    """Give the model SVF layers, without watching; returns it. See `SVFModel.decompose`."""
    for _ in model.decompose(Recipe(targets=targets, rank=rank)):
        pass
    return model


def _check(cache: list | None, worn: Scales) -> None:
    if isinstance(cache, OwnedCache):
        cache.check(worn)


def _split(network: nn.Module) -> tuple[Callable, Callable] | None:
    """(body, head) with head(body(x)) = network(x), or None where that does not hold.

    Some architectures scale or cap the logits outside the head; one token shows it.
    """
    body = network.get("model")
    if body is None:
        return None
    head: Any = network.get("lm_head", getattr(body.get("embed_tokens"), "as_linear", None))
    if head is None or isinstance(head, mx.array):
        return None
    token = mx.array([[0]])
    try:
        same = mx.array_equal(head(body(token)), network(token)).item()
    except (TypeError, ValueError, AttributeError):
        return None
    return (body, head) if same else None
