"""The experts that can be asked for, as they are at one moment. Knows experts and routers, and
no requests.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlx_t2.adaptation import Adapted, Chosen, Fixed
from mlx_t2.errors import RequestError
from mlx_t2.experts import Expert, acts_on_of, digest_of, parse_composition
from mlx_t2.svf import BASE, Scales

from .order import ServedExpert

BASE_KEY = "base"
"""The key of what no expert has had a part in."""
AUTO = "auto"
_MIXTURES = 64
"""Sums that are remembered: rows that wear the same arrays are decoded as one expert."""


class UnknownExpertError(RequestError):
    """An expert that nobody has."""


@dataclass(frozen=True, eq=False)
class Worn:
    """What one answer wears, and where its keys and values belong."""

    strategy: str
    adapted: Adapted
    key: str
    """The key of the prompt as it is read: `BASE_KEY` where the base reads it."""

    @property
    def prompt_scales(self) -> Scales:
        """What the prompt is read under, but for its last token."""
        return BASE if self.key == BASE_KEY else self.adapted.scales


@dataclass(frozen=True, eq=False)
class Version:
    """An expert under its name, as it is from one change of the table to the next."""

    expert: Expert
    """As the model wears it."""
    served: ServedExpert
    worn: Worn

    @classmethod
    def of(cls, name: str, expert: Expert, created: int) -> "Version":
        """The expert under that name."""
        expert = replace(expert, name=name)
        digest = expert.digest
        fixed = Fixed.mixture({name: expert}, {name: 1.0})
        # the arrays of the expert itself, so that all rows that wear it wear one dict
        adapted = replace(fixed.adapted, scales=expert.scales)
        key = digest if expert.acts_on == "all" else BASE_KEY
        details: dict[str, Any] = {"base_model": expert.base_model, "rank": expert.rank}
        if expert.description:
            details["description"] = expert.description
        if expert.metrics:
            details["metrics"] = expert.metrics
        served = ServedExpert(
            name, digest, created, expert.acts_on, expert.task or None, details
        )
        return cls(expert, served, Worn(fixed.name, adapted, key))


PLAIN = Worn("none", Adapted(BASE), BASE_KEY)
"""The base model."""


@dataclass(frozen=True, eq=False)
class ExpertTable:
    """Every expert by its name; whoever holds a table keeps its versions."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    auto: Chosen | None = None
    """What chooses among those that the router knows."""
    no_auto: str = "no expert can be chosen: the server has no router"
    """Why there is no `auto`, where there is none."""

    def find(self, wear: str, mixtures: "Mixtures") -> Worn | Chosen:
        """What `Order.wear` asks for.

        Raises: UnknownExpertError for a name that nobody has; ConfigError for what is not a
            sum, or cannot be mixed.
        """
        if wear == "base":
            return PLAIN
        if wear == AUTO:
            if self.auto is None:
                raise UnknownExpertError(f"{AUTO}: {self.no_auto}")
            return self.auto
        if wear in self.versions:
            return self.versions[wear].worn
        coefficients = parse_composition(wear, self.versions.__contains__)
        unknown = [name for name in coefficients if name not in self.versions]
        if unknown:
            raise UnknownExpertError(
                f"expert {', '.join(map(repr, unknown))}: unknown, expected one of: "
                f"{', '.join(sorted(self.versions)) or '(there are none)'}"
            )
        chosen = {name: self.versions[name].expert for name in coefficients}
        if coefficients == dict.fromkeys(chosen, 1.0) and len(chosen) == 1:
            return self.versions[next(iter(chosen))].worn
        return mixtures.find(chosen, coefficients)

    def resolve(self, chosen: Adapted, strategy: str) -> Worn:
        """What an answer wears for which `auto` has decided this."""
        version = self.versions.get(chosen.label or "")
        if not chosen.scales or version is None:
            return Worn(strategy, replace(chosen, scales=BASE), BASE_KEY)
        worn = version.worn
        return Worn(strategy, replace(chosen, scales=worn.adapted.scales), worn.key)


class Mixtures:
    """Sums of experts by what is in them, the last ones that were asked for."""

    def __init__(self):
        self._known: OrderedDict[tuple, Worn] = OrderedDict()

    def find(self, experts: Mapping[str, Expert], coefficients: Mapping[str, float]) -> Worn:
        """The sum of these. Raises ConfigError for experts that cannot be mixed."""
        content = tuple((*_content_of(experts[n]), n, coefficients[n]) for n in sorted(experts))
        if content not in self._known:
            fixed = Fixed.mixture(experts, coefficients)
            adapted = fixed.adapted
            is_read_by_base = acts_on_of(list(experts.values())) == "answer"
            key = BASE_KEY if is_read_by_base else digest_of(adapted.scales)
            self._known[content] = Worn(fixed.name, adapted, key)
        self._known.move_to_end(content)
        while len(self._known) > _MIXTURES:
            self._known.popitem(last=False)
        return self._known[content]


def _content_of(expert: Expert) -> tuple[str, str, str]:
    """What of an expert a sum takes over."""
    return expert.digest, expert.acts_on, json.dumps(expert.prompt, sort_keys=True)
