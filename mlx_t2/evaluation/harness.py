"""Tasks of lm-evaluation-harness through an adapted model, as far as that package is installed.

Its tasks, prompts and metrics are its own; here is only the model that it asks. Differs from
the harness's other models in that a generation is not stopped at the `until` texts but cut
there. Knows no graders and no tasks of ours.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_t2.adaptation import Strategy
from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.models import SVFModel

_BOOTSTRAP = 1000
"""Resamples behind the standard errors of metrics that have no formula for it."""


def run_harness(
    model: SVFModel, strategy: Strategy, task: str, limit: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """{task or subtask: {metric: value}} as the harness reports them, with the model's chat
    template where it has one.

    task: a name that the harness knows, or the path of a YAML file that describes one.
    limit: problems of each subtask; all by default.
    Raises: ConfigError where lm-eval is not installed, or for scales that change from request
        to request; TaskDataError for a task that the harness cannot run.
    """
    if not strategy.is_fixed:
        raise ConfigError(
            f"harness: got strategy {strategy.name!r}, expected scales that are the same for "
            "all requests: none, one expert, a mixture or the sum. The harness gives texts, "
            "not conversations to choose by"
        )
    is_file = Path(task).suffix in (".yaml", ".yml")
    if is_file and not Path(task).is_file():
        raise TaskDataError(f"{task}: no such file, expected the YAML file of a task")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from lm_eval.evaluator import simple_evaluate  # pyright: ignore[reportMissingImports]
        from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]
        from lm_eval.tasks._yaml_loader import load_yaml  # pyright: ignore[reportMissingImports]

        from .harness_model import HarnessModel
    except ImportError as error:
        raise ConfigError(
            f"harness: lm-evaluation-harness is not installed ({error}), expected it beside "
            "this package: pip install 'mlx_t2[harness]'"
        ) from error
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    asked = HarnessModel(model, seed)
    (adapted,) = strategy.adapt([({"role": "user", "content": ""},)])
    with model.using(adapted.scales, acts_on=adapted.acts_on):
        try:
            chosen: Any = load_yaml(task, resolve_func=True) if is_file else task
            found: Any = simple_evaluate(
                asked,
                tasks=[chosen],
                limit=limit,
                log_samples=False,
                bootstrap_iters=_BOOTSTRAP,
                apply_chat_template=asked.has_template,
                task_manager=TaskManager(include_defaults=not is_file),
            )
        except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise TaskDataError(
                f"{task}: lm-evaluation-harness cannot run it ({words[:200]}), expected a task "
                "that it knows, or the YAML file of one"
            ) from error
    return _read_results(task, found)


def _read_results(task: str, found: Any) -> dict[str, Any]:
    """The numbers of the harness's report."""
    results = (found or {}).get("results", {})
    counts = (found or {}).get("n-samples", {})
    if not results:
        raise TaskDataError(f"{task}: lm-evaluation-harness gave no results")
    return {
        name: {
            "n": counts.get(name, {}).get("effective"),
            **{key: value for key, value in metrics.items() if _is_number(value)},
        }
        for name, metrics in results.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def cut_at(text: str, ends: Sequence[str]) -> str:
    """The text before the first of the ends.

    >>> cut_at("4. Next: 5", ["Next", "."])
    '4'
    """
    found = [at for end in ends if end and (at := text.find(end)) >= 0]
    return text[: min(found, default=len(text))]
