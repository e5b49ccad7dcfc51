"""The checker of shapes and types in tests: an int may stand for a float, as Python's type
system has it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(
    conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)
)
_jaxtyped = jaxtyping.jaxtyped


def install() -> None:
    """Have every function of mlx_t2 checked, from its import on."""
    jaxtyping.jaxtyped = _check_once
    jaxtyping.install_import_hook("mlx_t2", "shapes.check")


def _check_once(checked: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """jaxtyping's decorator in a fifth of its time: arguments are neither bound to their names
    before they are checked nor checked again together with what is returned. An axis named
    after an argument, as in "{self.rank}", needs the first.
    """
    if checked is None:
        return functools.partial(_check_once, typechecker=typechecker)
    if is_dataclass(checked) and "__init__" in vars(checked):
        checked.__init__ = _check_once(checked.__init__, typechecker=typechecker)
        return checked
    signature = str(inspect.signature(checked)) if inspect.isfunction(checked) else "{"
    if "{" in signature or inspect.isgeneratorfunction(checked):
        return _jaxtyped(checked, typechecker=typechecker)
    typed, has_arrays = typechecker(checked), "jaxtyping" in signature

    @functools.wraps(checked)
    def call(*args: Any, **kwargs: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return checked(*args, **kwargs)
        if not has_arrays:
            return typed(*args, **kwargs)
        with _jaxtyped("context"):
            return typed(*args, **kwargs)

    return call
