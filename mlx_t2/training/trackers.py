"""Reports to the services that mlx-lm's users know, through mlx-lm's own callbacks. Knows
reports; knows no models.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlx_lm.tuner import callbacks

from mlx_t2.errors import ConfigError

from .config import TrainConfig
from .step_report import StepReport

SERVICES = ("wandb", "swanlab")


def open_tracker(
    services: str, project: str | None, out: Path, config: TrainConfig
) -> Callable[[StepReport], None]:
    """A function that sends a step's report on, and connects when it is first called.

    services: names joined by commas, as mlx-lm's --report-to.
    Raises: ConfigError for an unknown service or one that is not installed; the function, for
    whatever a service says when it is sent to.
    """
    names = [name.strip() for name in services.lower().split(",")]
    if unknown := [name for name in names if name not in SERVICES]:
        raise ConfigError(
            f"report-to: got {', '.join(unknown)!r}, expected some of {', '.join(SERVICES)}"
        )
    if missing := [name for name in names if vars(callbacks).get(name) is None]:
        raise ConfigError(
            f"report-to: got {', '.join(missing)}, which is not installed. "
            f"pip install {' '.join(missing)}"
        )
    connected: list[Any] = []  # filled when the first step is done

    def send(report: StepReport) -> None:
        try:
            if not connected:
                settings: Any = dataclasses.asdict(config)
                new = callbacks.get_reporting_callbacks(services, project, str(out), settings)
                connected.append(new)
            numbers = {k: v for k, v in vars(report).items() if isinstance(v, int | float)}
            connected[0].on_train_loss_report({"iteration": report.step} | numbers)
        except Exception as error:  # a service's own, of any kind
            raise ConfigError(f"report-to: {services} failed ({error})") from error

    return send
