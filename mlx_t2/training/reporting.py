"""Reports to the services that mlx-lm's users know, through mlx-lm's own callbacks. Knows
reports; knows no models.
"""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlx_lm.tuner.callbacks import get_reporting_callbacks

from mlx_t2.errors import ConfigError

from .config import TrainConfig

SERVICES = ("wandb", "swanlab")


def reporter(
    services: str, project: str | None, out: Path, config: TrainConfig
) -> Callable[[Any], None]:
    """A function that sends a step's report on.

    services: names joined by commas, as mlx-lm's --report-to.
    Raises: ConfigError for an unknown service or one that is not installed.
    """
    unknown = [s for s in services.lower().split(",") if s.strip() not in SERVICES]
    if unknown:
        raise ConfigError(
            f"report-to: {', '.join(unknown)!r} came, expected some of {', '.join(SERVICES)}"
        )
    out.mkdir(parents=True, exist_ok=True)  # wandb wants its folder to be there
    try:
        callbacks: Any = get_reporting_callbacks(
            services,
            project,
            str(out),
            dataclasses.asdict(config),  # pyright: ignore[reportArgumentType]  it is logged
        )
    except ImportError as error:
        with suppress(OSError):
            out.rmdir()  # which is only possible where nothing is in it
        raise ConfigError(f"report-to: {error}") from error

    def send(report: Any) -> None:
        numbers = {k: v for k, v in vars(report).items() if isinstance(v, int | float)}
        callbacks.on_train_loss_report({"iteration": report.step} | numbers)

    return send
