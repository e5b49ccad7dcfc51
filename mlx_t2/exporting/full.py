"""An expert as an adapter folder of mlx-lm's kind `full`: the changed weights alone, in the
form that the base has them. Knows mlx-lm's folders; does not know expert files.
"""

from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel, load
from mlx_t2.svf import Quantised, SVFLayer, with_weight

from .base import FileForm, read_file_form
from .export import Export, Written, export_weights
from .folder import write_json

_PARTS = ("weight", "scales", "biases")


def to_full(
    model: SVFModel,
    adapted: Adapted,
    out: str | Path,
    *,
    overwrite: bool = False,
    force: bool = False,
) -> Export:
    """Write the weights that the scales of `adapted` change, as an adapter folder at `out`.

    Exact but for the rounding of the base's own dtype. mlx-lm takes weights in the form of the
    base alone: those of a quantised one are rounded as it rounds, which 8 bits survive.

    Raises: ConfigError as `export_weights`, and for a quantisation with a scale per matrix.
    """

    def write(folder: Path, layers: dict[str, SVFLayer]) -> Written:
        base = read_file_form(model)
        tensors = {}
        for path, layer in layers.items():
            tensors |= _encode(base, path, layer)
        mx.save_safetensors(str(folder / "adapters.safetensors"), tensors, {"format": "mlx"})
        write_json(
            folder / "adapter_config.json",
            {"fine_tune_type": "full", "model": model.source, "num_layers": -1}
            | {"lora_parameters": {}},
        )
        return Written(
            lambda: load(model.source, adapter=folder),
            {"weights": len(layers)},
            hint="The base is quantised, and so is what changes here. Use fused or lora",
        )

    return export_weights("full", model, adapted, out, write, overwrite, force)


def _encode(base: FileForm, path: str, layer: SVFLayer) -> dict[str, mx.array]:
    """The tensors of one changed weight, in the form of the base's own."""
    own: Any = base.layer(path)
    new: Any = with_weight(own, layer.folded_weight().astype(base.dtype(path)))
    if isinstance(own, Quantised):
        if "global_scale" in own:
            raise ConfigError(
                f"{path}: its quantisation has a scale of the whole matrix, which cannot be "
                "kept for another weight. Use fused or lora"
            )
        new = new.to_quantized(own.group_size, own.bits, str(own.mode))
    tensors = {f"{path}.{part}": new[part] for part in _PARTS if new.get(part) is not None}
    mx.eval(tensors)  # one weight at a time: bounds the memory of what lies between
    return tensors
