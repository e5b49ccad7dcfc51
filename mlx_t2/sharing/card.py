"""The card of an expert: what it is, what was measured, what got worse, and how to use it.

Text from an expert and what was measured; knows no hub. The header is what the hub reads:
`base_model` and its relation, tags, and `model-index` for tasks of one's own; results on public
benchmarks go into a file of their own, see `make_results`.

Source: hub-docs, model-cards.md and eval-results.md; arXiv 2501.06252 for the method.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from mlx_t2.experts import Expert, coefficients_of
from mlx_t2.models import ALIASES

from .measured import Measured

_BENCHMARKS = {"gsm8k": ("openai/gsm8k", "gsm8k", 1319)}
"""{task: (data set of the leaderboard, its task there, problems of the whole test part)}."""
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?= |,|$)")
_SHOWN = ("steps", "lr", "prompts", "group", "kl", "mode", "max_tokens")
"""Settings of a training that its card names."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a card says that the expert's file does not."""

    measured: Sequence[Measured] = ()
    base_repo: str | None = None
    """The hub's id of the model that it was trained on; None where it is on no hub."""
    repo: str = ""
    """Where it will be, as `t2 experts pull` is told."""
    licence: str | None = None
    """The hub's word for it, like apache-2.0; None where its maker says nothing."""
    description: str = ""
    """One line: what it is for."""
    version: str = ""
    """This program's."""


def make_card(expert: Expert, said: Described) -> str:
    """The card, in Markdown with a header in YAML."""
    header = yaml.safe_dump(_header(expert, said), sort_keys=False, allow_unicode=True)
    base = said.base_repo or expert.base_model
    promise = said.description or f"Trained for the task {expert.task or 'unknown'}."
    parts = [
        f"---\n{header}---",
        f"# {expert.name}",
        f"{promise} An expert of [mlx_t2](https://arxiv.org/abs/2501.06252) for "
        f"{_link(base, said)}: {sum(z.size for z in expert.scales.values()):,} numbers that "
        "scale singular values of its weights. Without it, the model is unchanged, bit for "
        "bit.",
        "## Use\n\n" + _indent(_use(expert, said)),
        "## What was measured\n\n" + _table(said.measured),
        "## What got worse\n\n" + _losses(expert, said.measured),
        "## Data and training\n\n" + _training(expert),
        "## File\n\n" + _facts(expert, said),
        "## Licence\n\n" + _licence(said),
        "Method: Sun, Cetin and Tang, *Transformer²: Self-adaptive LLMs*, arXiv:2501.06252.",
    ]
    return "\n\n".join(parts) + "\n"


def make_results(expert: Expert, measured: Sequence[Measured]) -> str:
    """`.eval_results`: whole public test parts, for the hub's leaderboards; "" without any."""
    entries = []
    for one in measured:
        id, task, whole = _BENCHMARKS.get(one.task, ("", "", -1))
        if one.split == "test" and one.n == whole:
            dataset = {"id": id, "task_id": task}
            notes = f"{_words(one)}, greedy, expert {expert.name}"
            entries.append({"dataset": dataset, "value": round(one.after, 4), "notes": notes})
    return yaml.safe_dump(entries, sort_keys=False) if entries else ""


def _header(expert: Expert, said: Described) -> dict[str, Any]:
    dataset = _dataset_of(expert)
    tags = ["mlx", "mlx-t2", "transformer-squared", "svf"]
    tags += [f"base_model:adapter:{said.base_repo}"] if said.base_repo else []
    tags += [f"task:{expert.task}"] if expert.task else []
    header: dict[str, Any] = {"library_name": "mlx_t2"}
    if said.base_repo:
        header |= {"base_model": said.base_repo, "base_model_relation": "adapter"}
    header |= {"pipeline_tag": "text-generation"}
    header |= {"license": said.licence} if said.licence else {}
    header |= {"datasets": [dataset]} if dataset else {}
    header |= {"tags": tags}
    if said.measured:
        results = [_index_entry(one, expert, dataset) for one in said.measured]
        header |= {"model-index": [{"name": expert.name, "results": results}]}
    return header


def _index_entry(one: Measured, expert: Expert, dataset: str | None) -> dict[str, Any]:
    is_own = one.task == expert.task
    return {
        "task": {"type": "text-generation"},
        "dataset": {
            "name": one.task,
            "type": dataset if is_own and dataset else f"mlx_t2/{one.task}",
            "split": one.split,
        },
        "metrics": [
            {"type": "accuracy", "value": round(one.after, 4), "name": _words(one)},
        ],
    }


def _dataset_of(expert: Expert) -> str | None:
    """The hub's id that its data's source begins with."""
    source = expert.config.get("source")
    found = _HUB_ID.match(source) if isinstance(source, str) else None
    return found[1] if found else None


def _link(base: str, said: Described) -> str:
    return f"[{base}](https://huggingface.co/{base})" if said.base_repo else f"`{base}`"


def _use(expert: Expert, said: Described) -> list[str]:
    """Three lines."""
    has_alias = expert.base_model in ALIASES  # the default needs no flag
    model = "" if has_alias else f" --model {said.base_repo or expert.base_model}"
    return [
        f"t2 experts pull {said.repo}",
        f"t2 generate --expert {expert.name}{model} 'your question'",
        f"t2 chat --expert {expert.name}{model}",
    ]


def _indent(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _table(measured: Sequence[Measured]) -> str:
    if not measured:
        return "Nothing."
    lines = ["| task | split | n | base | expert | p |", "|---|---|---|---|---|---|"]
    for one in measured:
        before, after = (
            _share(share, interval)
            for share, interval in (
                (one.before, one.before_interval),
                (one.after, one.after_interval),
            )
        )
        p = "not paired" if one.p is None else f"{one.p:.2g}"
        cells = (one.task, one.split, one.n or "?", before, after, p)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Accuracy of greedy answers with its 95 % interval (Wilson); p of McNemar's exact "
        "test, problem by problem.",
    ]
    if any(one.split == "validation" for one in measured):
        lines[-1] += " Validation problems chose the expert: their share flatters it."
    return "\n".join(lines)


def _share(share: float, interval: tuple[float, float] | None) -> str:
    shown = f"{100 * share:.1f} %"
    return f"{shown} ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})" if interval else shown


def _losses(expert: Expert, measured: Sequence[Measured]) -> str:
    worse = [one for one in measured if one.after < one.before]
    lines = [f"- {one.task}, {one.split}: {_words(one)}" for one in worse]
    if {one.task for one in measured} <= {expert.task}:
        lines.append(
            "Other tasks were not measured. Worn for everything, an expert may cost what it "
            "was not trained for."
        )
    return "\n".join(lines or ["Nothing of what was measured."])


def _words(one: Measured) -> str:
    before, after = (
        _share(one.before, one.before_interval),
        _share(one.after, one.after_interval),
    )
    p = "" if one.p is None else f", paired p={one.p:.2g}"
    return f"accuracy: base {before}, expert {after}, n={one.n or '?'}{p}"


def _training(expert: Expert) -> str:
    if mixed := coefficients_of(expert):
        parts = ", ".join(f"{number:g} · {name}" for name, number in mixed.items())
        return f"A mixture of experts, z = 1 + Σ α (z − 1): {parts}."
    source = expert.config.get("source") or f"the task {expert.task or '(not recorded)'}"
    settings = [
        f"{key} {expert.config[key]}" for key in _SHOWN if expert.config.get(key) is not None
    ]
    return (
        f"Data: {source}. REINFORCE on z alone, from a reward"
        + (f": {', '.join(settings)}, seed {expert.seed}." if settings else ".")
        + (f"\n\nTrained behind this prompt:\n\n{_prompt(expert)}" if expert.prompt else "")
    )


def _prompt(expert: Expert) -> str:
    return _indent([json.dumps(message, ensure_ascii=False) for message in expert.prompt])


def _facts(expert: Expert, said: Described) -> str:
    rank, is_whole = expert.rank or "full", expert.acts_on == "all"
    facts = {
        "layers": f"{expert.targets}, {len(expert.scales)} matrices, rank {rank}",
        "worn on": "all of a conversation" if is_whole else "the answer alone",
        "base model": f"{expert.base_model}, fingerprint `{expert.base_fingerprint[:16]}…`",
        "scales": f"digest `{expert.digest[:16]}…`",
        "made with": f"mlx_t2 {said.version}",
    }
    return "\n".join(f"- {key}: {value}" for key, value in facts.items())


def _licence(said: Described) -> str:
    own = f"{said.licence}." if said.licence else "Its maker states none."
    return f"{own} The base model's terms hold as well."
