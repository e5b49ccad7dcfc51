"""A run folder's curves as a picture. Knows the folder's files; needs matplotlib (extra
`plots`).
"""

import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert
from mlx_t2.files import fill_whole
from mlx_t2.svf import Scales

from .run_folder import read_metrics

_BINS = 24
"""Along the singular values, the largest first."""


def plot_run(out: Path) -> Path:
    """Draw `plot.png` of a run folder: reward and accuracy, KL, signs of a collapse, and where
    the expert differs from the base model.

    Raises: ConfigError without matplotlib or without metrics; FileError where it cannot be
    written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib is not installed. pip install 'mlx_t2[plots]'"
        ) from error
    entries = read_metrics(out)
    if not entries:
        raise ConfigError(f"{out}: no metrics.jsonl with steps in it, expected a run folder")
    expert = Expert.load(out / "expert.safetensors")
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    (reward, kl, signs), (layers, indices, change) = figure.subplots(2, 3)
    _draw_reward(reward, entries, int(expert.metrics["n_validation"]))
    _draw_kl(kl, entries)
    _draw_signs(signs, entries)
    by_layer, by_index = measure_changes(expert.scales)
    _draw_layers(layers, by_layer)
    _draw_indices(indices, by_index)
    _draw_change(change, entries)
    for axes in (reward, kl, signs, layers, change):
        axes.xaxis.get_major_locator().set_params(integer=True)
    path = out / "plot.png"
    fill_whole(path, lambda temporary: figure.savefig(temporary, dpi=120, format="png"))
    return path


def _draw_reward(axes: Any, entries: list[dict], n: int) -> None:
    """Sampled reward, and greedy accuracy with its 95 % interval (normal approximation)."""
    axes.plot([e["step"] for e in entries], [e["reward"] for e in entries], color="0.6")
    points = [(0, entries[0]["base_validation"])]
    points += [(e["step"], e["validation"]) for e in entries if e["validation"] is not None]
    steps, accuracy = (np.array(column) for column in zip(*points, strict=True))
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / n)
    axes.errorbar(steps, accuracy, half, fmt="o-", capsize=2)
    axes.set(xlabel="step", ylim=(0, 1), title="reward (grey), held-out accuracy")


def _draw_kl(axes: Any, entries: list[dict]) -> None:
    """One estimate, in every step that evaluates."""
    measured = [(e["step"], e["kl"]) for e in entries if e["kl"] is not None]
    if measured:
        axes.plot(*zip(*measured, strict=True), "o-")
    axes.set(xlabel="step", title="KL from the base [nats per completion]")


def _draw_signs(axes: Any, entries: list[dict]) -> None:
    steps = [e["step"] for e in entries]
    signal = [e["signal_groups"] / e["groups"] for e in entries]
    axes.plot(steps, signal, label="problems with a signal")
    axes.plot(steps, [e["commonest_share"] for e in entries], label="the most common answer")
    axes.set(xlabel="step", ylim=(0, 1), title="shares")
    axes.legend(fontsize="small")


def _draw_layers(axes: Any, by_layer: dict[str, list[tuple[int, float]]]) -> None:
    for kind, values in by_layer.items():
        axes.plot(*zip(*sorted(values), strict=True), ".-", label=kind)
    axes.set(xlabel="layer", title="mean |z − 1| of the expert")
    axes.legend(fontsize="small")
    _start_at_zero(axes)


def _draw_indices(axes: Any, by_index: dict[str, list[float]]) -> None:
    for kind, values in by_index.items():
        axes.plot(np.linspace(0, 1, len(values)), values, label=kind)
    axes.set(xlabel="singular value: largest … smallest", title="mean |z − 1| of the expert")
    axes.legend(fontsize="small")
    _start_at_zero(axes)


def _draw_change(axes: Any, entries: list[dict]) -> None:
    axes.plot([e["step"] for e in entries], [e["change"] for e in entries])
    axes.set(xlabel="step", title="mean |z − 1| in training")
    _start_at_zero(axes)


def _start_at_zero(axes: Any) -> None:
    axes.set_ylim(0, 1.1 * axes.dataLim.ymax or 1)


def measure_changes(
    scales: Scales,
) -> tuple[dict[str, list[tuple[int, float]]], dict[str, list[float]]]:
    """Mean |z − 1|: {kind of matrix: (layer, value) of each}, and {kind: values along the
    singular values, in equal parts}.

    The kind is the last part of the module path, the layer the first number in it.
    """
    by_layer: dict[str, list[tuple[int, float]]] = {}
    by_index: dict[str, list[np.ndarray]] = {}
    for path, z in scales.items():
        kind, change = path.rpartition(".")[2], np.abs(np.array(z.astype(mx.float32)) - 1)
        found = re.search(r"\.(\d+)\.", path)
        layer = int(found[1]) if found else 0
        by_layer.setdefault(kind, []).append((layer, float(change.mean())))
        flat = change.reshape(-1, change.shape[-1]).mean(axis=0)
        parts = np.array_split(flat, min(_BINS, len(flat)))
        by_index.setdefault(kind, []).append(np.array([part.mean() for part in parts]))
    # layers of one kind may differ in rank: those with the most parts are averaged
    longest = {kind: max(map(len, values)) for kind, values in by_index.items()}
    return by_layer, {
        kind: np.mean([v for v in values if len(v) == longest[kind]], axis=0).tolist()
        for kind, values in by_index.items()
    }
