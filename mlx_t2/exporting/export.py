"""What the three exports of weights have in common: what is asked before, checked after, and
said of the result. Knows models and folders; does not know what the files are like.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError
from mlx_t2.models import SVFModel
from mlx_t2.svf import SVFLayer

from .base import changed_layers
from .folder import MANIFEST, check_target, fill_new_folder, measure_bytes, write_json
from .verification import Verified, verify

Form = Literal["safetensors", "fused", "full", "lora"]
FORMS: tuple[Form, ...] = get_args(Form)
"""What an expert can be exported as."""
LEAST = 0.9
"""The share and the correlation of the change below which an export is refused."""


@dataclass(frozen=True)
class Written:
    """What a form has put into its folder, before it is verified."""

    load: Callable[[], SVFModel]
    """Loads it as its readers do."""
    details: dict[str, Any]
    """What the manifest says beside the common things, as JSON values."""
    notes: tuple[str, ...] = ()
    """What a person should know of it."""
    hint: str = ""
    """What keeps more of the change, where the export keeps too little."""


@dataclass(frozen=True)
class Export:
    """A folder that was written, verified and put in its place."""

    path: Path
    form: Form
    bytes: int
    """Bytes of all files together."""
    verified: Verified
    details: dict[str, Any]
    notes: tuple[str, ...]


Write = Callable[[Path, dict[str, SVFLayer]], Written]
"""Puts files into a folder, given the layers that the worn scales change, by module path."""


def export_weights(
    form: Form,
    model: SVFModel,
    adapted: Adapted,
    out: str | Path,
    write: Write,
    overwrite: bool,
    force: bool,
) -> Export:
    """Let `write` fill a folder, verify it against the live expert, and put it in its place.

    Raises: ConfigError for an expert that acts on the answer alone, and for an export that
        keeps too little, unless `force` is set; FileError for a place that is taken.
    """
    out = Path(out)
    notes = _check_acts_on(form, adapted, force)
    layers = changed_layers(model, adapted.scales)
    check_target(out, overwrite)  # before any work is done

    def fill(folder: Path) -> Export:
        with model.using(adapted.scales):
            written = write(folder, layers)
        verified = verify(model, adapted, written.load(), layers)
        if not force:
            _check_kept(form, verified, written.hint)
        write_json(
            folder / MANIFEST,
            {
                "form": form,
                **written.details,
                "coefficients": dict(adapted.coefficients),
                "base_model": model.name,
                "acts_on": adapted.acts_on,
                "prompt": list(adapted.prompt),
                "verified": asdict(verified),
            },
        )
        said = (*notes, *written.notes, *_prompt_notes(adapted))
        return Export(out, form, measure_bytes(folder), verified, written.details, said)

    return fill_new_folder(out, overwrite, fill)


def _check_acts_on(form: Form, adapted: Adapted, force: bool) -> tuple[str, ...]:
    """What to say of an expert that acts on the answer alone; ConfigError without `force`."""
    if adapted.acts_on == "all":
        return ()
    explanation = (
        f"{form}: the expert acts on the answer alone; whoever loads the export wears it on "
        "the prompt too, as it was never trained to, and it loses skill there"
    )
    if not force:
        raise ConfigError(
            f"{explanation}. Wear it with t2 (generate, chat, eval), hand it on as "
            "safetensors, or force it"
        )
    return (f"{explanation}. It was compared with the live expert worn on the prompt too",)


def _check_kept(form: Form, verified: Verified, hint: str) -> None:
    if verified.least >= LEAST:
        return
    weights, logits = verified.weights, verified.logits
    path, worst = verified.worst
    raise ConfigError(
        f"{form}: got share {weights.share:.2f} and correlation {weights.correlation:.2f} of "
        f"the change in the weights (least in {path}: {worst.share:.2f}, "
        f"{worst.correlation:.2f}), {logits.share:.2f} and {logits.correlation:.2f} in the "
        f"logits, expected {LEAST} or more of each. {hint}, or force it"
    )


def _prompt_notes(adapted: Adapted) -> tuple[str, ...]:
    count = len(adapted.prompt)
    if not count:
        return ()
    return (
        f"its prompt ({count} messages in front of a question) is not in the weights: "
        f"{MANIFEST} has it",
    )
