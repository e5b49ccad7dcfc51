"""A language model that can wear scales. Knows no experts as files, no sampling, no tasks.

`with model.using(scales):` puts scales on and takes them off again; a forward pass over a cache
wears the scales of that cache.
"""

import hashlib
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from jaxtyping import Float, Integer
from mlx_lm.models.cache import make_prompt_cache

from mlx_t2.errors import ConfigError, ModelError, ModelWarning
from mlx_t2.svf import (
    BASE,
    FORMS,
    ActsOn,
    Arrays,
    BaseLayer,
    Basis,
    Choice,
    Form,
    Plan,
    Recipe,
    Scales,
    Shapes,
    Speed,
    SVFLayer,
    Targets,
    Work,
    agree,
    beside_layer,
    check_scales,
    choose_form,
    describe_weight,
    find_speed,
    fold_layers,
    install_layers,
    plan_decomposition,
    same,
    uninstall_layers,
    weight_key,
)

from .body_and_head import find_body_and_head
from .decomposition import Decomposed, decompose_chosen, read_basis
from .kv_cache import OwnedCache
from .memory import memory_bytes
from .outfit import Outfit, PutBeside, linear_layers, live_outfit
from .template import ChatTemplate

T = TypeVar("T")


class SVFModel:
    """An mlx-lm network with its tokenizer, whose targeted layers wear scales after
    `decompose`.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        tokenizer: Any,
        keys: dict[str, str] | None = None,
        source: str | None = None,
    ):
        """keys: what each linear weight's key was as it was loaded, where loading has changed
        its form.
        """
        self.name = name
        self.source = name if source is None else source
        """What it was loaded as: an alias, a path or a hub id."""
        self.network = network
        self.tokenizer = tokenizer
        self.recipe: Recipe | None = None
        """What the layers that wear scales were made by; None where there are none."""
        self.singular_values: Arrays = {}
        """{module path: s} of the layers that wear scales, descending."""
        self._keys = dict(keys or {})
        self._layers: dict[str, SVFLayer] = {}
        self._bases: dict[str, BaseLayer] = {}
        """{module path: the layer as it was loaded}."""
        self._outfit = Outfit()
        self._beside: Outfit | None = None
        """What was put beside the weights last, with copies of its scales."""
        self._acts_on: ActsOn = "all"
        self._found: dict[Hashable, Any] = {}
        self._remarks: set[str] = set()

    def once(self, find: Callable[["SVFModel"], T]) -> T:
        """What `find` says of this model: found once, under the base weights, and kept as long
        as the model.
        """
        if find not in self._found:
            with self.using({}):
                self._found[find] = find(self)
        return self._found[find]

    def remark(self, text: str) -> None:
        """Say something about this model, once, as a ModelWarning."""
        if text not in self._remarks:
            self._remarks.add(text)
            warnings.warn(f"{self.name}: {text}", ModelWarning, stacklevel=2)

    # Decomposition

    @property
    def shapes(self) -> Shapes:
        """{module path: shape of z} of the layers that wear scales."""
        return {path: layer.shape for path, layer in self._layers.items()}

    @property
    def layers(self) -> Mapping[str, SVFLayer]:
        """{module path: the layer that wears scales}, not to be changed."""
        return self._layers

    @property
    def targets(self) -> str | None:
        """Which layers wear scales, see `svf.Recipe`; None where none do."""
        return self.recipe.targets if self.recipe else None

    @property
    def rank(self) -> int | None:
        """Singular values scaled per weight; None for all of them."""
        return self.recipe.rank if self.recipe else None

    @property
    def basis_bytes(self) -> int:
        """Size of the singular vectors kept beside the weights."""
        return sum(layer.basis_bytes for layer in self._layers.values())

    def plan(self, recipe: Recipe | None = None) -> Plan:
        """What `decompose` would do and need; nothing is computed. Raises as it does."""
        return plan_decomposition(self.network, recipe or Recipe())

    def find_targets(self, targets: str = "mlp") -> list[str]:
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

        Yields one report per weight. Stopped half-way, the model is the base model, and the
        next time goes on from the cache.
        Raises: ConfigError for targets that match nothing; FileError for a cache that cannot be
        written; ModelError for a weight that is not finite, or an architecture that cannot
        wear scales.
        """
        recipe = recipe or Recipe()
        chosen = Targets(recipe.targets).select(self.network)
        self._outfit, self._beside = Outfit(), None
        self._put_on(self._outfit)
        uninstall_layers(self.network)
        self._layers, self._bases, self.recipe, self.singular_values = {}, {}, None, {}
        bases: dict[str, Basis] = {}
        for report, basis in self._decompose(chosen, recipe):
            bases[report.path] = basis
            yield report
        ordered = {path: bases[path] for path in chosen}
        self.singular_values = {path: basis.s for path, basis in ordered.items()}
        self._layers, self.recipe = install_layers(self.network, ordered, recipe.bits), recipe
        self._bases = {path: layer.base for path, layer in self._layers.items()}

    def take_layers(
        self, layers: Mapping[str, Any], targets: str, rank: int | None = None
    ) -> None:
        """Know these layers, which are in the network, as those that wear scales: others than
        SVF layers, that can be used as they are.
        """
        self._layers, self.recipe = dict(layers), Recipe(targets=targets, rank=rank)
        self._bases = {path: layer.base for path, layer in self._layers.items()}

    def precompute(self, recipe: Recipe | None = None) -> Iterator[Decomposed]:
        """Fill the cache as `decompose` would, giving each weight up once its basis is written:
        of a lazily loaded model, a few weights are in memory at a time.

        The model is of no use afterwards.
        """
        recipe = recipe or Recipe()
        chosen = Targets(recipe.targets).select(self.network)
        for report, _ in self._decompose(chosen, recipe):
            chosen[report.path].clear()
            yield report

    def _decompose(
        self, chosen: dict[str, BaseLayer], recipe: Recipe
    ) -> Iterator[tuple[Decomposed, Basis]]:
        return decompose_chosen(chosen, recipe, lambda path: self._key(path, chosen[path]))

    # Wearing scales

    @property
    def worn(self) -> Scales:
        """The scales now in force, in whatever form, not to be changed; a missing path is the
        base weight.
        """
        return self._outfit.scales

    @property
    def acts_on(self) -> ActsOn:
        """What is read under the scales now in force."""
        return self._acts_on

    @property
    def prompt_scales(self) -> Scales:
        """What a prompt is read under now, but for its last token."""
        return BASE if self._acts_on == "answer" else self.worn

    @property
    def has_rows(self) -> bool:
        """Each row of a batch wears its own scales."""
        return self.own([]).has_rows

    @property
    def form(self) -> Form:
        """How the scales now in force are worn."""
        return self._outfit.form

    def _put_on(self, outfit: Outfit) -> None:
        for path, layer in self._layers.items():
            base = outfit.layers.get(path, self._bases[path])
            if layer.base is not base:
                layer.base = base
            layer.wear(outfit.live.get(path))

    @contextmanager
    def _wearing_own(self, cache: list | None) -> Iterator[None]:
        """Inside the block the layers wear the scales of the cache, where it has some: in the
        form that is worn where those are the same scales, else live.
        """
        worn = self._outfit
        own = cache.scales if isinstance(cache, OwnedCache) else worn.scales
        if agree(own, worn.scales) or (worn.form != "live" and same(own, worn.scales)):
            yield
            return
        self._put_on(live_outfit(own))
        try:
            yield
        finally:
            self._put_on(worn)

    def form_for(
        self,
        scales: Scales,
        work: Work,
        speed: Speed | None = None,
        forms: Sequence[Form] = FORMS,
    ) -> Choice:
        """The cheapest way to wear `scales` for this work, with the memory that is left; see
        `svf.choose_form`. Rows with scales of their own can only be live.

        speed: the machine's; None is what was measured of this one.
        """
        check_scales(scales, self.shapes)
        if not all(isinstance(self._layers[path], SVFLayer) for path in scales) or not scales:
            return Choice("live", 16, 0.0, 0)
        is_made = self._beside is not None and same(self._beside.scales, scales)
        experts = 2 if self.own([], scales).has_rows else work.experts
        work = replace(work, experts=experts, is_made=is_made)
        weights = [describe_weight(self._layers[path], self._bases[path]) for path in scales]
        memory = max(0, memory_bytes() - mx.get_active_memory())
        return choose_form(weights, work, speed or find_speed(), memory, forms)

    @contextmanager
    def using(
        self,
        scales: Scales,
        form: Form = "live",
        bits: int = 16,
        force: bool = False,
        acts_on: ActsOn = "all",
    ) -> Iterator[None]:
        """Wear `scales` inside the block, in one of three forms. Whatever was worn before is
        worn again afterwards.

            live     by the layers' own products: switching costs nothing, rows may differ
            beside   the change of each weight is one matrix next to it
            folded   W' is in W's place, and costs what the base costs

        A missing path is the base weight, bit for bit. Live scales may be (rows, *shape): row b
        of a batch wears row b. Beside and folded they are one for all rows.

        bits: of a matrix beside, or of a folded weight: 16 is the dtype of the activations;
            8 rounds; 4 are enough beside, and have to be forced for a folded weight, see
            `svf.folded_layer`.
        acts_on: what is read under the scales. `answer` is for whoever reads prompts and their
            completions through `reading` or `sampling`; a forward pass of one's own is under
            the scales, whatever it reads.
        """
        with self.wearing(self.make_outfit(scales, form, bits, force), acts_on):
            yield

    @contextmanager
    def wearing(self, outfit: Outfit, acts_on: ActsOn = "all") -> Iterator[None]:
        """`using`, with an outfit that was made before."""
        before, former = self._outfit, self._acts_on
        self._outfit, self._acts_on = outfit, acts_on
        try:
            self._put_on(outfit)
            yield
        finally:
            self._outfit, self._acts_on = before, former
            self._put_on(before)

    def make_outfit(
        self, scales: Scales, form: Form = "live", bits: int = 16, force: bool = False
    ) -> Outfit:
        """What `using` wears; the model wears what it wore.

        Raises: ShapeError for scales that do not fit; ConfigError for rows or bits that the
            form does not have.
        """
        check_scales(scales, self.shapes)
        if form == "live":
            return live_outfit(dict(scales))
        if form == "folded":
            return self._fold(scales, bits, force)
        for _ in self.put_beside(scales, bits):
            pass
        assert self._beside is not None
        return replace(self._beside, scales=dict(scales))

    def put_beside(self, scales: Scales, bits: int = 4) -> Iterator[PutBeside]:
        """Make the change of every weight under `scales`, one matrix after another, and keep
        them until others are made: to wear the same scales beside is then an assignment.

        One report per linear layer; none where they are kept already. For 8 and 4 bits each
        basis is read from disk, in float32, and leaves memory afterwards: it is read again once
        scales are worn live. 16 bits are made of the basis that is in memory, which stays,
        unless that is quantised. Where z = 1 there is no matrix. Stacks of weights stay live.
        Raises: as `make_outfit` does.
        """
        check_scales(scales, self.shapes)
        self._check_no_rows("beside", scales)
        kept = self._beside
        if kept is not None and kept.bits == bits and same(kept.scales, scales):
            return
        start, made = time.perf_counter(), {}
        linear = linear_layers(self._layers, scales)
        live = {path: mx.array(z) for path, z in scales.items()}
        outfit = Outfit(live, "beside", bits, live=live)
        for index, path in enumerate(linear, 1):
            change = 0
            if not mx.all(scales[path] == 1).item():
                base: Any = self._bases[path]  # a linear one
                layer = linear[path]
                is_near = bits == 16 and not layer.q.is_packed
                q = layer.q if is_near else self.read_basis(path).q
                made[path] = beside_layer(base, layer.side, q, scales[path], bits)
                mx.eval(made[path].change.parameters())  # bounds memory: layer after layer
                change = made[path].change_bytes
                if not is_near:
                    layer.hold(self.read_basis(path))
            live = {one: z for one, z in live.items() if one != path}
            outfit = replace(outfit, layers=dict(made), live=live)
            seconds = time.perf_counter() - start
            yield PutBeside(path, index, len(linear), seconds, change, outfit)
        self._beside = outfit

    def read_basis(self, path: str) -> Basis:
        """A layer's basis as it was computed, in float32, which is on disk until it is used."""
        assert self.recipe is not None
        layer = self._bases[path]
        return read_basis(path, layer, self.recipe, self._key(path, layer))

    def _fold(self, scales: Scales, bits: int, force: bool) -> Outfit:
        self._check_no_rows("folded", scales)
        layers = {path: self._layers[path] for path in scales}
        self._put_on(live_outfit(scales))
        try:
            fold_layers(layers.values(), bits, force)
            folded = {path: layer.base for path, layer in layers.items()}
        finally:
            self._put_on(self._outfit)
        return Outfit(dict(scales), "folded", bits, folded)

    def _check_no_rows(self, form: Form, scales: Scales) -> None:
        if self.own([], scales).has_rows:
            raise ConfigError(
                f"{form}: each row wears its own scales, expected one z for all of them"
            )

    # Caches

    def new_cache(self, scales: Scales | None = None) -> OwnedCache:
        """Empty key-value caches of one sequence, which belong to these scales, or to those
        worn now.
        """
        return self.own(make_prompt_cache(self.network), scales)

    def own(self, caches: list, scales: Scales | None = None) -> OwnedCache:
        """Caches of any kind, made to belong to these scales, or to those worn now."""
        return OwnedCache(caches, self.worn if scales is None else scales, self.shapes)

    # Tokens

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        found = frozenset(self.tokenizer.eos_token_ids)
        if not found:
            self.remark("its tokenizer has no end token: every answer goes on to its limit")
        return found

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer, self.remark)

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """A conversation → token ids, up to where the assistant's next answer begins.

        Raises: ModelError where the chat template fails, in its own words.
        """
        try:
            return self._template.encode(messages)
        except ModelError as error:
            raise ModelError(f"{self.name}: {error}") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids → text, special tokens left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    # Forward, under the scales of the cache; without one, under those worn now

    @property
    def _split(self) -> tuple[Callable, Callable] | None:
        return self.once(_body_and_head)

    def hidden(
        self, tokens: Integer[mx.array, "B T"], cache: list | None = None
    ) -> Float[mx.array, "B T hidden"]:
        """The last layer's states after the final norm.

        Raises: ModelError where mlx-lm does not separate them.
        """
        if self._split is None:
            raise ModelError(
                f"{self.name}: mlx-lm does not give this architecture's hidden states"
            )
        with self._wearing_own(cache):
            return self._split[0](tokens, cache=cache)

    def extend(self, tokens: Integer[mx.array, "B T"], cache: list) -> None:
        """Read `tokens` into `cache`; nothing is scored."""
        body = self._split[0] if self._split else self.network
        with self._wearing_own(cache):
            body(tokens, cache=cache)

    def logits_at(
        self, tokens: Integer[mx.array, "B T"], cache: list | None, at: Integer[mx.array, " N"]
    ) -> Float[mx.array, "N vocabulary"]:
        """Float32 scores of the next token, only at flat positions `at` (row · T + column)."""
        body, head = self._split or (self.network, _as_it_is)
        with self._wearing_own(cache):
            states = body(tokens, cache=cache)
            return head(states.reshape(-1, states.shape[-1])[at]).astype(mx.float32)


def decompose(model: SVFModel, targets: str = "mlp", rank: int | None = None) -> SVFModel:
    """Give the model SVF layers, without reports; returns it. See `SVFModel.decompose`."""
    for _ in model.decompose(Recipe(targets=targets, rank=rank)):
        pass
    return model


def _body_and_head(model: SVFModel) -> tuple[Callable, Callable] | None:
    return find_body_and_head(model.network)


def _as_it_is(scores: mx.array) -> mx.array:
    return scores
