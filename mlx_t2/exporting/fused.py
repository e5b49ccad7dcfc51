"""An expert as a whole model: W' in place of W, in a folder that mlx-lm loads.

A quantised base is dequantised where a weight changes, and there alone: rounding W' back to
few bits would round the change away. Knows mlx-lm's folders; does not know expert files.
"""

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map_with_path, tree_unflatten
from mlx_lm.utils import save_config, save_model

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, load
from mlx_t2.svf import Quantised, SVFLayer, dense_weight, with_weight

from .base import FileForm, read_file_form
from .export import Export, Written, export_weights
from .folder import copy_files

BITS = (32, 16, 8, 4)
"""What an entry of a weight that the expert changes may take."""
BLOCKS = (64, 32)
"""Entries that share one scale where weights are rounded, the first that divides a row."""
_COPIED = ("*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "LICENSE*", "NOTICE*")
_PACKED = Quantised | nn.QuantizedEmbedding | nn.QQLinear
_OWN = ("config.json", "*.index.json", "hf_quant_config.json", "adapter_config.json")


def to_fused(
    model: SVFModel,
    adapted: Adapted,
    out: str | Path,
    *,
    bits: int = 16,
    dequantize: bool = False,
    overwrite: bool = False,
    force: bool = False,
) -> Export:
    """Write the model with the scales of `adapted` in its weights, as a folder at `out`.

    bits: 32 is float32; 16 what the base computes in, bfloat16 for one of float32; 8 and 4 are
        affine, 4 has to be forced. Of a quantised base, weights that do not change stay as they
        are; of another, what mlx-lm would quantise is quantised with them.
    dequantize: leave no quantised weight, for readers that know none.
    Raises: ConfigError for bits that lose the expert, and as `export_weights`.
    """
    check_bits(bits, dequantize, force)

    def write(folder: Path, layers: dict[str, SVFLayer]) -> Written:
        base = read_file_form(model)
        _put_in(base, layers, bits, dequantize)
        config = _describe(base)
        config_path = folder / "config.json"
        keeps_vision = "vision_tower" in base.network.get("model", {})
        save_model(folder, base.network, donate_model=True)
        save_config(config, config_path, keep_vision_config=keeps_vision)
        copy_files(base.folder, folder, _is_copied)
        hint = "Use --bits 16" if bits < 16 else "Use --bits 32"
        return Written(lambda: load(str(folder)), {"bits": bits}, hint=hint)

    return export_weights("fused", model, adapted, out, write, overwrite, force)


def check_bits(bits: int, dequantize: bool, force: bool) -> None:
    """Raise ConfigError for bits that lose the expert, or that contradict `dequantize`."""
    if bits not in BITS or (bits == 4 and not force):
        raise ConfigError(
            f"bits: got {bits}, expected 32, 16 or 8. Rounding to 4 bits loses most of what an "
            "expert changes: force it to see how much"
        )
    if dequantize and bits < 16:
        raise ConfigError(f"bits: got {bits}, expected 32 or 16 where all is dequantised")


def _put_in(base: FileForm, layers: dict[str, SVFLayer], bits: int, dequantize: bool) -> None:
    """Make the network of `base` the one to be written; nothing is computed before it is."""
    network = base.network
    own = base.dtype(next(iter(layers)))
    was_quantised = bool(_quantised_modules(network))
    replaced = [
        (path, with_weight(base.layer(path), layer.folded_weight()))
        for path, layer in layers.items()
    ]
    network.update_modules(tree_unflatten(replaced))
    if dequantize:
        _dequantise(network)
    dtype = mx.float32 if bits == 32 else mx.bfloat16 if own == mx.float32 else own
    _cast(network, set(layers), own, dtype)
    if bits < 16:
        _quantise(network, set(layers), bits, everything=not was_quantised)


def _dequantise(network: nn.Module) -> None:
    replaced: list[tuple[str, nn.Module]] = []
    for path, module in network.named_modules():
        if isinstance(module, Quantised):
            replaced.append((path, with_weight(module, dense_weight(module))))
        elif isinstance(module, nn.QuantizedEmbedding):
            table = nn.Embedding(1, 1)
            table.weight = dense_weight(module)
            replaced.append((path, table))
    network.update_modules(tree_unflatten(replaced))


def _cast(network: nn.Module, changed: set[str], own: mx.Dtype, dtype: mx.Dtype) -> None:
    """Give the network one dtype, but for what mlx-lm keeps in float32.

    Weights of a 16-bit base that do not change are not touched, whatever they are.
    """
    is_cast: Any = getattr(network, "cast_predicate", lambda name: True)

    def cast(name: str, array: mx.array) -> mx.array:
        is_new = name.rpartition(".")[0] in changed or dtype != own
        if not is_new or not mx.issubdtype(array.dtype, mx.floating) or not is_cast(name):
            return array
        return array.astype(dtype)

    network.update(tree_map_with_path(cast, network.parameters()))


def _quantise(network: nn.Module, changed: set[str], bits: int, everything: bool) -> None:
    """Round the changed weights, and with `everything` what mlx-lm would quantise too."""
    is_quantised: Any = getattr(network, "quant_predicate", lambda path, module: True)

    def choose(path: str, module: Any) -> bool | dict[str, Any]:
        if path not in changed and not (everything and is_quantised(path, module)):
            return False
        if not hasattr(module, "to_quantized") or "scales" in module:
            return False
        block = next((b for b in BLOCKS if module.weight.shape[-1] % b == 0), None)
        if block is None:
            return False
        return {"group_size": block, "bits": bits, "mode": "affine"}

    nn.quantize(network, class_predicate=choose)


def _quantised_modules(network: nn.Module) -> dict[str, dict[str, Any]]:
    """{module path: how it is quantised}, as mlx-lm's settings have it."""
    found = {}
    for path, module in network.named_modules():
        if isinstance(module, _PACKED):
            how = {"group_size": module.group_size, "bits": module.bits, "mode": module.mode}
            found[path] = how | ({"global_scale": True} if "global_scale" in module else {})
    return found


def _describe(base: FileForm) -> dict[str, Any]:
    """The settings of what is written: what they say of quantisation and dtypes is made anew,
    from the layers themselves.
    """
    config = {k: v for k, v in base.config.items() if not k.startswith("quantization")}
    inner = config.get("text_config")
    if isinstance(inner, dict):
        config["text_config"] = {k: v for k, v in inner.items() if not k.startswith("quantiz")}
    dtypes = Counter(
        str(array.dtype).removeprefix("mlx.core.") for array in _floating_weights(base.network)
    )
    for part in (config, config.get("text_config")):
        for key in ("torch_dtype", "dtype"):
            if dtypes and isinstance(part, dict) and key in part:
                part[key] = dtypes.most_common(1)[0][0]
    quantised = _quantised_modules(base.network)
    if quantised:
        kinds = Counter(tuple(how.items()) for how in quantised.values())
        usual = dict(kinds.most_common(1)[0][0])
        others = {path: how for path, how in quantised.items() if how != usual}
        config["quantization"] = usual | others
    return config


def _floating_weights(network: nn.Module) -> list[mx.array]:
    return [
        array
        for module in network.modules()
        for array in [module.get("weight")]
        if isinstance(array, mx.array) and mx.issubdtype(array.dtype, mx.floating)
    ]


def _is_copied(name: str) -> bool:
    """Whether a file of the base belongs to the export as it is: tokenizer, chat template,
    licence.
    """
    return any(fnmatch(name, p) for p in _COPIED) and not any(fnmatch(name, p) for p in _OWN)
