"""Every form of export of one bundled expert, beside the live expert: size, what is kept of the
change, and what others make of it.

mlx-lm reads each in a process of its own, as `mlx_lm.generate` does; transformers and PEFT read
the two that are for them, where the extra `export-check` is installed.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_t2.adaptation import Adapted, Fixed, prepare_strategy
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.exporting import Export, to_full, to_fused, to_lora
from mlx_t2.files import write_whole
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel, find_folder, load
from mlx_t2.sampling import SamplingConfig

from .provenance import describe_source
from .results_page import DATA

MODEL, EXPERT = "smollm2-135m", "arc-easy"
"""The bundled expert that acts on all: others are not exported as weights, see `to_fused`."""
QUESTION = "Which of these is a mammal: a trout, a sparrow, a whale or a frog? Explain."
_TOKENS = 24
_Write = Callable[[SVFModel, Adapted, Path], Export]
_FORMS: dict[str, _Write] = {
    "fused, 32 bits": lambda *to: to_fused(*to, bits=32),
    "fused, 16 bits": to_fused,
    "fused, 8 bits": lambda *to: to_fused(*to, bits=8),
    "fused, 32 bits, dequantised": lambda *to: to_fused(*to, bits=32, dequantize=True),
    "full": lambda *to: to_full(*to, force=True),
    "full, dequantised base": to_full,
    "lora": to_lora,
    "lora, dequantised base": to_lora,
}
"""The default model has 4 bits, which `full` keeps: too few for an expert, hence the force."""
_DEQUANTISED = "dequantised base"


def measure_exports(runs: Path) -> Iterator[str]:
    """Export, verify and read every form; yields a line for each and records them.

    runs: not used: it takes minutes, and what is written is removed.
    """
    rows: list[dict[str, Any]] = []
    exports: list[Export] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        bases = {False: find_folder(MODEL), True: _write_base(folder / "base")}
        worn = {
            key: _wear(load(MODEL if not key else str(base))) for key, base in bases.items()
        }
        text, base_text = (_answer(*worn[False], is_worn=is_worn) for is_worn in (True, False))
        for form, write in _FORMS.items():
            key, out = form.endswith(_DEQUANTISED), folder / _slug(form)
            done = write(*worn[key], out)
            exports.append(done)
            flags = ["--model", str(bases[key]), "--adapter-path", str(out)]
            said = generate_with_mlx_lm(
                ["--model", str(out)] if done.form == "fused" else flags
            )
            rows.append({"name": form, **describe(done), "same_text": said == text})
            yield f"{form}: {rows[-1]}"
        torch = _read_with_torch(*worn[False], folder)
        yield f"PyTorch: {torch}"
    found = {
        "model": MODEL,
        "expert": EXPERT,
        "tokens": exports[0].verified.tokens,
        "largest_change": exports[0].verified.largest_change,
        "text_tokens": _TOKENS,
        "base_has_same_text": base_text == text,
        "rows": rows,
        "torch": torch,
    }
    source = describe_source("make exports")
    write_whole(DATA / "exports.json", json.dumps(found | source, indent=1) + "\n")
    yield f"wrote {DATA / 'exports.json'}"


def _wear(model: SVFModel) -> tuple[SVFModel, Adapted]:
    """The model, made ready for the expert, and what it wears then."""
    strategy = prepare_strategy(
        model,
        Library(BUNDLED / MODEL, bundled=None),
        coefficients={EXPERT: 1.0},
        allow_transfer=True,
    ).finish()
    (adapted,) = strategy.adapt([[]])
    return model, adapted


def _answer(model: SVFModel, adapted: Adapted, is_worn: bool) -> str:
    config = SamplingConfig(temperature=0, max_tokens=_TOKENS)
    strategy = Fixed(EXPERT, adapted) if is_worn else Fixed.base()
    return AdaptiveGenerator(model, strategy).ask(QUESTION, config).text


def _slug(name: str) -> str:
    return "-".join(name.replace(",", "").split())


def describe(done: Export) -> dict[str, Any]:
    """Size, and what is kept of the change."""
    verified = done.verified
    return {
        "mb": round(done.bytes / 1e6, 1),
        "share": verified.weights.share,
        "correlation": verified.weights.correlation,
        "logit_share": verified.logits.share,
        "logit_correlation": verified.logits.correlation,
        "largest_gap": verified.largest_gap,
    }


def generate_with_mlx_lm(flags: list[str]) -> str:
    """What `mlx_lm.generate` answers, greedily."""
    command = [sys.executable, "-m", "mlx_lm", "generate", *flags, "--prompt", QUESTION]
    ran = subprocess.run(
        [*command, "--max-tokens", str(_TOKENS), "--temp", "0"],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split("=" * 10)[1].strip("\n")


# PyTorch


def _read_with_torch(model: SVFModel, adapted: Adapted, folder: Path) -> list[dict[str, Any]]:
    """The largest difference of any logit from the live expert's, as transformers reads the
    fused folder that has no quantised weight, and PEFT the low-rank one on a dequantised base;
    nothing where they are not installed.
    """
    if find_spec("torch") is None or find_spec("peft") is None:
        return []
    peft, torch, transformers = map(import_module, ("peft", "torch", "transformers"))
    ids = model.encode([{"role": "user", "content": QUESTION}])
    with model.using(adapted.scales):
        live = np.array(model.logits_at(mx.array([ids]), None, mx.arange(len(ids))))

    def measure(network: Any) -> float:
        with torch.no_grad():
            got = network.eval()(torch.tensor([ids])).logits[0].float().numpy()
        return float(np.abs(got - live).max())

    def read(path: Path) -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)

    fused = measure(read(folder / _slug("fused, 32 bits, dequantised")))
    base = read(folder / "base")
    unworn = measure(base)
    lora = measure(
        peft.PeftModel.from_pretrained(base, str(folder / _slug("lora, dequantised base")))
    )
    gaps = {
        "transformers, the base alone": unworn,
        "transformers, fused, 32 bits, dequantised": fused,
        "PEFT, lora, dequantised base": lora,
    }
    return [
        {"name": name, "largest_gap": gap, "tokens": len(ids)} for name, gap in gaps.items()
    ]


def _write_base(folder: Path) -> Path:
    """The base model without quantised weights, by mlx-lm's own converter."""
    command = [sys.executable, "-m", "mlx_lm", "convert", "--hf-path", str(find_folder(MODEL))]
    options = ["--mlx-path", str(folder), "--dequantize", "--dtype", "float32"]
    subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return folder
