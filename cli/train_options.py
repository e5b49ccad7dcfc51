"""The options of `t2 train` that set a TrainConfig: one per field, made from its text.

Names, types, defaults and help are written once, in the dataclass. Its file is parsed, not
imported: that would import MLX, and `t2 --help` would wait for it.
"""

import ast
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool}
"""Annotations as they are written; all others are texts."""
_FLAGS = {
    "prompts": ("--prompts", "-P"),
    "group": ("--group", "-G"),
    "temperature": ("--temp",),
    "balanced": ("--balanced/--unbalanced",),
}
"""Flags that are not just the field's name."""
_LEAST = {"rank": 1}
_PANELS = {
    "Run": ("steps", "eval_every", "validation", "patience", "test", "seed"),
    "Completions": ("prompts", "group", "temperature", "truncated", "overlong"),
    "Update": ("mode", "lr", "warmup", "schedule", "optimizer", "clip", "kl", "kl_form"),
    "What is trained": ("acts_on", "targets", "rank", "init", "parametrisation", "bands"),
    "Memory": ("memory_gb", "rows"),
    "On or off": ("balanced", "probe", "checkpointing"),
}
"""Where the help shows each field. A panel is as wide as its longest flag: two-sided ones
have one of their own.
"""


def with_train_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option per field of TrainConfig; it takes them as `**settings`. One
    that is not given is None, so that a file or a mode's preset can say otherwise.
    """
    signature = inspect.signature(command)
    *own, _ = signature.parameters.values()
    signature = signature.replace(parameters=[*own, *train_options()])
    command.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    return command


def train_options() -> Iterator[inspect.Parameter]:
    """The options in the order of the fields."""
    panels = {name: panel for panel, names in _PANELS.items() for name in names}
    for name, kind, default, text in _fields():
        kind = _TYPES.get(kind.removesuffix(" | None"), str)
        flags = _FLAGS.get(name, (f"--{name}/--no-{name}",) if kind is bool else ())
        shown = _shown(default, flags)
        option = typer.Option(
            None,
            *flags,
            min=_LEAST.get(name),
            help=f"{text} ({shown})." if shown else f"{text}.",
            rich_help_panel=panels[name],
        )
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None
        )


def _shown(default: str, flags: tuple[str, ...]) -> str:
    """A default as its flag has it; nothing where the help says it."""
    on, _, off = flags[0].removeprefix("--").partition("/--") if flags else ("", "", "")
    shown = {"None": "", "True": on, "False": off}
    return shown.get(default, default.strip('"'))


def _fields() -> Iterator[tuple[str, str, str, str]]:
    """Name, annotation, default and first sentence of the docstring of each field."""
    source = _source()
    tree = ast.parse(source)
    (config,) = (
        n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TrainConfig"
    )
    for pair in pairwise(config.body):
        match pair:
            case (
                ast.AnnAssign(
                    target=ast.Name(name), annotation=kind, value=ast.expr() as default
                ),
                ast.Expr(ast.Constant(str(text))),
            ):
                sentence = " ".join(text.split()).split(". ")[0].rstrip(".")
                written = ast.get_source_segment(source, default) or ""
                yield name, ast.unparse(kind), written, sentence.replace("`", "")


def _source() -> str:
    spec = importlib.util.find_spec("mlx_t2")  # finds the package without importing it
    assert spec is not None
    assert spec.origin is not None
    config = Path(spec.origin).parent / "training" / "config.py"
    return config.read_text(encoding="utf-8")
