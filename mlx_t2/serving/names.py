"""What is asked for by `model` and `mix` → what is worn, and the list of what can be asked for.

`base` is the model as it is, `base:EXPERT` the model under an expert, `base:auto` under what
the first pass finds; the model's own id stands for `base`, and an alias for any of them.
Knows names; knows no experts' contents.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mlx_t2.errors import ConfigError

from .fault import Fault
from .order import Backend, ServedExpert

BASE, AUTO = "base", "auto"


class Names:
    """The names of what a backend serves."""

    def __init__(self, backend: Backend, aliases: Mapping[str, str]):
        """aliases: {another name: one of the names}.

        Raises: ConfigError for an alias that hides a name, or stands for none.
        """
        self._backend = backend
        self._aliases = dict(aliases)
        names = self._own()
        for alias, name in aliases.items():
            if alias in names:
                raise ConfigError(f"--alias {alias}={name}: {alias!r} is a name of its own")
            if name not in names:
                raise ConfigError(
                    f"--alias {alias}={name}: {name!r} is not served, expected "
                    f"{_suggest(name, names)}"
                )

    def _own(self) -> list[str]:
        """Every name but the aliases."""
        experts = [f"{BASE}:{expert.name}" for expert in self._backend.experts()]
        auto = [f"{BASE}:{AUTO}"] if self._backend.has_auto else []
        return [BASE, self._backend.model_id, *auto, *experts]

    def wear(self, model: str, mix: Mapping[str, float] | None) -> str:
        """What an order wears.

        Raises: Fault with status 404 for what is not served, with the nearest names.
        """
        name = self._resolve(model)
        if mix is None:
            return name
        if name != BASE:
            raise Fault(
                f"mix: got one beside a model that is not {BASE}, expected model: {BASE!r}",
                "mix",
                "invalid_value",
            )
        experts = [expert.name for expert in self._backend.experts()]
        for expert in mix:
            if expert not in experts:
                raise _unknown("mix", expert, experts)
        return write_sum(mix)

    def _resolve(self, model: str) -> str:
        name = self._aliases.get(model, model)
        if name in (BASE, self._backend.model_id):
            return BASE
        if name not in (names := self._own()):
            raise _unknown("model", model, [*names, *self._aliases])
        return name.removeprefix(f"{BASE}:")

    def describe_all(self) -> list[dict[str, Any]]:
        """Every name as the API lists models, aliases last."""
        experts = {f"{BASE}:{expert.name}": expert for expert in self._backend.experts()}
        listed = [self._describe(name, experts.get(name)) for name in self._own()]
        names = self._own()
        for alias, name in self._aliases.items():
            if name in names:  # its expert may have been removed
                listed.append(self._describe(alias, experts.get(name)) | {"root": name})
        return listed

    def describe(self, model: str) -> dict[str, Any]:
        """One of the names.

        Raises: Fault with status 404 for what is not served, with the nearest names.
        """
        listed = self.describe_all()
        for one in listed:
            if one["id"] == model:
                return one
        raise _unknown("model", model, [one["id"] for one in listed])

    def _describe(self, name: str, expert: ServedExpert | None) -> dict[str, Any]:
        model = {
            "id": name,
            "object": "model",
            "created": self._backend.created if expert is None else expert.created,
            "owned_by": "mlx_t2",
            "root": self._backend.model_id,
            "parent": None if name in (BASE, self._backend.model_id) else BASE,
        }
        return model if expert is None else model | describe_expert(expert)


def describe_expert(expert: ServedExpert) -> dict[str, Any]:
    """What is said about an expert beside its name."""
    return {
        "root": expert.name,
        "parent": BASE,
        "task": expert.task,
        "acts_on": expert.acts_on,
        "digest": expert.digest,
    }


def write_sum(mix: Mapping[str, float]) -> str:
    """The mixture as a sum of experts.

    >>> write_sum({"a": 0.6, "b": -0.4}), write_sum({"a": -1})
    ('0.6*a - 0.4*b', '-1.0*a')
    """
    terms = [
        f"{'-' if share < 0 else '+'} {abs(float(share))!r}*{name}"
        for name, share in mix.items()
    ]
    first, *rest = terms
    return " ".join([first.removeprefix("+ ").replace("- ", "-", 1), *rest])


def _unknown(param: str, name: str, names: Sequence[str]) -> Fault:
    shown = ascii(name[:64])
    return Fault(
        f"{param}: {shown} is not served, expected {_suggest(name, names)}",
        param,
        "model_not_found",
        404,
    )


def _suggest(name: str, names: Iterable[str]) -> str:
    """Names near to this one, or the first of all."""
    ordered = list(dict.fromkeys(names))
    near = get_close_matches(name, ordered, 3, 0.5) or ordered[:6]
    shown = ", ".join(near)
    return shown if len(near) == len(ordered) else f"{shown}, … (GET /v1/models lists all)"
