"""A run folder's curves as a picture. Knows the folder's metrics file; needs matplotlib (extra
`plots`).
"""

from pathlib import Path

from mlx_t2.errors import CheckpointError, ConfigError

from .log import read_lines


def plot_run(out: Path) -> Path:
    """Draw `plot.png` from `metrics.jsonl`: reward, validation accuracy, signal and |z − 1| by
    step.

    Raises: ConfigError without matplotlib or without metrics; CheckpointError where it cannot
    be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plot: matplotlib is not installed. pip install 'mlx_t2[plots]'"
        ) from error
    entries = read_lines(out / "metrics.jsonl")
    if not entries:
        raise ConfigError(f"{out}: no metrics.jsonl with steps in it, expected a run folder")
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    reward, signal, change = figure.subplots(1, 3)
    steps = [entry["step"] for entry in entries]
    reward.plot(
        steps, [entry["reward"] for entry in entries], color="0.6", label="reward, sampled"
    )
    validated = [(e["step"], e["validation"]) for e in entries if e["validation"] is not None]
    start = (0, entries[0]["base_validation"])
    reward.plot(*zip(start, *validated, strict=True), "o-", label="validation accuracy, greedy")
    reward.set(xlabel="step", ylim=(0, 1))
    reward.legend(loc="lower right")
    signal.bar(steps, [entry["signal_groups"] for entry in entries])
    signal.set(xlabel="step", title="problems that carried a signal")
    change.plot(steps, [entry["change"] for entry in entries])
    change.set(xlabel="step", title="mean |z − 1|", ylim=(0, None))
    path = out / "plot.png"
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}), expected a folder with room"
        ) from error
    return path
