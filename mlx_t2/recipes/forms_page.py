"""The tables and the chart of the forms, from what `forms` has measured and from bandwidths
that are published. Measures nothing.
"""

import json
from pathlib import Path
from typing import Any

from mlx_t2.benchmarks import LLAMA_8B, PREDICTED, PUBLISHED, predict
from mlx_t2.errors import ConfigError
from mlx_t2.files import fill_whole
from mlx_t2.svf import describe_form

from .page import join_table, percent, percent_interval

FORMS_DATA = Path(__file__).parent / "results" / "forms.json"
_COMMAND = "python -m mlx_t2_cli.recipes forms"


def forms_section() -> str:
    """What each form and width reads and keeps, and the accuracy of each expert in it."""
    found = _read()
    if found is None:
        return f"Not measured yet: `{_COMMAND}`."
    source = f"`{found['command']}` on {found['machine']}, commit {found['commit']}."
    kept = join_table(
        ("form", "a token step reads, base = 1", "correlation", "share", "error"),
        [
            (name, *(f"{one[part]:g}" for part in ("read", "correlation", "share", "error")))
            for name, one in found["kept"].items()
        ],
    )
    trained = join_table(
        ("q in", "steps", "seed", "accuracy %", "n"),
        [
            (f"{bits} bits", str(row["steps"]), str(row["seed"]), _share(row), str(row["n"]))
            for bits, row in found["trained"].items()
        ],
    )
    return f"{source}\n\n{kept}\n\n{_accuracy_table(found['accuracy'])}\n\n{trained}"


def _accuracy_table(accuracy: dict[str, Any]) -> str:
    """One row per form, one column per expert."""
    pairs = {tuple(key.split("|")): row for key, row in accuracy.items()}
    names = list(dict.fromkeys(name for name, _ in pairs))
    ways = list(dict.fromkeys(way for _, way in pairs))
    counts = {name: row["n"] for (name, _), row in pairs.items()}
    header = ("form", *(f"{name}, n = {counts[name]}" for name in names))
    rows = [(way, *(_share(pairs[name, way]) for name in names)) for way in ways]
    return join_table(header, rows)


def _share(row: dict[str, Any]) -> str:
    return f"{percent(row['correct'], row['n'])} ({percent_interval(row['interval'])})"


def macs_section() -> str:
    """Predicted tokens per second of an 8B llama in 4 bits; none of them is measured."""
    header = (
        *("chip", "published GB/s", "base"),
        *(describe_form(*way) if way[1] < 16 else f"{way[0]}, 16 bits" for way in PREDICTED),
        "measured",
    )
    rows = [
        (chip, f"{PUBLISHED[chip]:g}", f"{base:.0f}", *(f"{one:.0f}" for one in forms), "–")
        for chip, base, forms in predict(LLAMA_8B)
    ]
    return f"{LLAMA_8B.name} in 4 bits, groups of 64:\n\n{join_table(header, rows)}"


def draw_forms(path: Path) -> Path:
    """Draw the bytes of a token step against what is kept of the expert, for every form and
    width; returns the path.

    Raises: ConfigError without matplotlib, or where nothing has been measured.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib is not installed. pip install 'mlx_t2[plots]'"
        ) from error
    found = _read()
    if found is None:
        raise ConfigError(f"{FORMS_DATA}: got no file, expected one. {_COMMAND}")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {"live": "tab:blue", "beside": "tab:green", "folded": "tab:red"}
    offsets = {"live": (5, -20), "beside": (5, -11), "folded": (-30, -16)}  # apart from others
    for name, one in found["kept"].items():
        at = one["read"], one["correlation"]
        axes.plot(*at, "o", color=colours[one["form"]])
        aside = offsets[one["form"]]
        axes.annotate(name, at, textcoords="offset points", fontsize=8, xytext=aside)
    axes.margins(0.12)  # room for what is written beside the outer ones
    axes.axvline(1, color="0.7", linewidth=1)
    axes.set(
        xlabel="bytes that a token step reads, 4-bit base = 1 (4096 × 14336)",
        ylabel="correlation of the realised change",
        title="What is read against what is kept of the expert",
    )
    fill_whole(path, lambda file: figure.savefig(file, dpi=120, format="png"))
    return path


def _read() -> dict[str, Any] | None:
    if not FORMS_DATA.exists():
        return None
    return json.loads(FORMS_DATA.read_text(encoding="utf-8"))
