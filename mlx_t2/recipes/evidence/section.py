"""The section of `RESULTS.md` on a real model, from `evidence.json`, with the paper's numbers
beside ours. Measures nothing.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..page import join_table, percent, percent_interval, show_p
from .plan import UNSEEN
from .stints import COMMAND

EVIDENCE = Path(__file__).parents[1] / "results" / "evidence.json"
_NONE = "–"

_PAPER_SETS = {"math": "MATH", "humaneval": "HumanEval", "arc-challenge": "ARC-C"}
_TABLE_2 = {
    "base": ((24.54, 60.98, 80.63), (13.02, 43.29, 71.76)),
    "LoRA": ((24.12, 52.44, 81.06), (13.16, 37.80, 75.77)),
    "prompt": ((25.22, 61.59, 81.74), (11.86, 43.90, 72.35)),
    "cls expert": ((25.18, 62.80, 81.37), (11.60, 43.90, 74.83)),
    "few-shot": ((25.47, 62.99, 82.61), (13.39, 47.40, 75.47)),
}
"""{method: accuracy of Llama3-8B, of Mistral-7B on MATH, HumanEval and ARC-C}.

Source: Sun, Cetin & Tang 2025, arXiv:2501.06252, table 2.
"""
_OURS = {
    "base": ("base",),
    "LoRA": ("arc-lora-0", "arc-lora-slow-0"),
    "prompt": ("prompt",),
    "cls expert": ("cls",),
    "few-shot": ("searched",),
}
"""{the paper's method: whose answers of ours are beside it}."""
_TABLE_3 = {
    "math": (42.64, 321.19),
    "humaneval": (2.76, 14.28),
    "arc-challenge": (13.40, 28.51),
}
"""{set: seconds of the first pass, of the second}: Llama3-8B, prompt strategy, whole sets.

Source: the same, table 3.
"""
_VERDICTS = ("accuracy %", "fixed", "broken", "p", "p (Holm)", "difference", "smallest shown")


def evidence_section() -> str:
    """All that is on disk; what is not is named."""
    if not EVIDENCE.exists():
        return f"Not measured yet: `{COMMAND}`."
    return show_evidence(json.loads(EVIDENCE.read_text(encoding="utf-8")))


def show_evidence(found: dict[str, Any]) -> str:
    """The source, and a table for each question; nothing in place of a table without rows."""
    rows = found["rows"]
    titled = (
        ("The base model, and another form of its prompt:", _base_table(rows)),
        ("Trainings:", _trainings_table(found["trainings"])),
        (
            "On the tasks of the experts, beside the base model:",
            _paired_table([row for row in rows if row["table"] == "trained"], found),
        ),
        (
            "On tasks that no expert was trained on; the expert that is meant is in bold:",
            _paired_table([row for row in rows if row["table"] == "unseen"], found),
        ),
        ("The chosen expert of arc-easy beside its controls:", _controls(found["controls"])),
        ("Table 2 of the paper [%] beside ours:", _beside_table_2(rows)),
        ("Table 3 of the paper beside ours:", _beside_table_3(found["times"])),
        ("What z learnt:", _vectors(found["vectors"])),
        (
            "Problems that the experts fix and break, twenty of each at most, by their place "
            "in the test split, from 0:",
            "\n".join(f"- {line}" for line in found["samples"]),
        ),
    )
    parts = [f"{title}\n\n{table}" for title, table in titled if table]
    return "\n\n".join([_source(found), *_searches(found["searches"]), *parts])


def _source(found: dict[str, Any]) -> str:
    missing = ", ".join(f"`{key}`" for key in found["missing"])
    sources = ". ".join(dict.fromkeys(found["sets"].values()))
    return (
        f"`{found['command']}`{_machines(found['machines'])}, collected at commit "
        f"{found['commit']}, model {found['model'] or _NONE}, {found['seconds'] / 3600:.1f} "
        "hours of jobs; greedy, each set's test split, of gsm8k and math a fixed subset, "
        f"picked by a hash. Rows: {sources or 'none'}.\n\n"
        f"Not measured: {missing or 'nothing; all jobs are finished'}."
    )


def _machines(jobs: dict[str, list[str]]) -> str:
    """On which machine, and what on another.

    >>> _machines({"a GPU": ["x", "y"], "2 cores": ["y", "z"]})
    ' on a GPU (of it on 2 cores, wholly or in part: `y`, `z`)'
    """
    if not jobs:
        return ""
    (first, _), *others = jobs.items()
    also = "; ".join(
        f"of it on {machine}, wholly or in part: {', '.join(f'`{key}`' for key in keys)}"
        for machine, keys in others
    )
    return f" on {first}{f' ({also})' if also else ''}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return join_table(header, rows) if rows else ""


# Answers


def _base_table(rows: Sequence[dict[str, Any]]) -> str:
    header = (
        *("set", "form", "n", "accuracy %", "in the form asked for %", "whatever the form %"),
        *("cut off %", "at tokens", "fixed, broken", "p (Holm)", "minutes", "commit"),
    )
    return _table(header, [_base_cells(row) for row in rows if row["table"] == "base"])


def _base_cells(row: dict[str, Any]) -> list[str]:
    n, pair = row["n"], row.get("against")
    return [
        row["set"],
        row["form"] or "its own",
        str(n),
        _share(row),
        *(percent(row[key], n) for key in ("strict", "lenient", "truncated")),
        str(row["max_tokens"]),
        f"{pair['fixed']}, {pair['broken']}" if pair else "",
        show_p(pair["p_adjusted"]) if pair else "",
        f"{row['seconds'] / 60:.1f}",
        row["commit"],
    ]


def _share(row: dict[str, Any]) -> str:
    return f"{percent(row['correct'], row['n'])} ({percent_interval(row['interval'])})"


def _paired_table(rows: Sequence[dict[str, Any]], found: dict[str, Any]) -> str:
    header = ("set", "who", "n", *_VERDICTS, "cut off %", "to the base", "minutes", "commit")
    ordered = sorted(rows, key=lambda row: row["set"])
    return _table(header, [_paired_cells(row, found["chosen"]) for row in ordered])


def _paired_cells(row: dict[str, Any], chosen: int | None) -> list[str]:
    meant = UNSEEN.get(row["set"])
    own = f"{meant}-{chosen if meant == 'arc-easy' else 0}"
    name = f"**{row['name']}**" if row["name"] == own else row["name"]
    return [
        row["set"],
        name,
        str(row["n"]),
        _share(row),
        *_pair_cells(row.get("against")),
        percent(row["truncated"], row["n"]),
        str(row["abstained"]),
        f"{row['seconds'] / 60:.1f}",
        row["commit"],
    ]


def _pair_cells(pair: dict[str, Any] | None) -> list[str]:
    """Everything of _VERDICTS behind the accuracy."""
    if pair is None:
        return [_NONE] * (len(_VERDICTS) - 1)
    low, high = (100 * bound for bound in pair["interval"])
    gain = 100 * (pair["after"] - pair["before"])
    return [
        str(pair["fixed"]),
        str(pair["broken"]),
        show_p(pair["p"]),
        show_p(pair["p_adjusted"]),
        f"{gain:+.1f} ({low:+.1f} to {high:+.1f})",
        f"{100 * pair['smallest_difference']:.1f}",
    ]


def _controls(rows: Sequence[dict[str, Any]]) -> str:
    header = ("set", "control", "n", "control %", "expert %", *_VERDICTS[1:])
    return _table(
        header,
        [
            [
                row["set"],
                row["control"],
                str(row["n"]),
                *(f"{100 * row[which]:.1f}" for which in ("before", "after")),
                *_pair_cells(row),
            ]
            for row in rows
        ],
    )


# Trainings


def _trainings_table(rows: Sequence[dict[str, Any]]) -> str:
    header = (
        *("training", "seed", "acts on", "numbers", "steps × problems × group", "lr"),
        *("validation %", "n", "steps skipped", "sampling [s/step]", "gradient [s/step]"),
        *("minutes", "commit"),
    )
    return _table(header, [_training_cells(row) for row in rows])


def _training_cells(row: dict[str, Any]) -> list[str]:
    before, after = (f"{100 * share:.1f}" for share in row["validation"])
    return [
        row["name"],
        str(row["seed"]),
        row["acts_on"],
        f"{row['numbers']:,}{' (LoRA)' if row['is_lora'] else ''}",
        f"{row['steps']} × {row['prompts']} × {row['group']}",
        f"{row['lr']:g}",
        f"{before} → {after}",
        str(row["n_validation"]),
        str(row["skipped"]),
        f"{row['sampling_seconds']:g}",
        f"{row['gradient_seconds']:g}",
        f"{row['seconds'] / 60:.1f}",
        row["commit"],
    ]


def _searches(found: dict[str, Any]) -> Iterator[str]:
    """A sentence on the searched mixtures."""
    if found:
        each = "; ".join(
            f"{on}: "
            + ", ".join(f"{label} {share:.2f}" for label, share in one["coefficients"].items())
            + f" by {one['settings']['by']}, {one['settings']['shots']} problems"
            for on, one in found.items()
        )
        yield f"Searched mixtures: {each}."


# The paper's tables


def _beside_table_2(rows: Sequence[dict[str, Any]]) -> str:
    ours = {(row["name"], row["set"]): row for row in rows if not row["form"]}
    if not any(name != "base" and on in _PAPER_SETS for name, on in ours):
        return ""
    models = [f"{model}, {on}" for model in ("8B", "7B") for on in _PAPER_SETS.values()]
    header = ("method", *models, *(f"ours, {on}" for on in _PAPER_SETS.values()))
    return join_table(
        header,
        [
            [
                method,
                *(f"{share:.2f}" for shares in paper for share in shares),
                *(_beside(ours, method, on) for on in _PAPER_SETS),
            ]
            for method, paper in _TABLE_2.items()
        ],
    )


def _beside(ours: dict[tuple[str, str], dict[str, Any]], method: str, on: str) -> str:
    """Our numbers for a method of the paper."""
    found = (ours.get((name, on)) for name in _OURS[method])
    return ", ".join(_share(row) for row in found if row) or _NONE


def _beside_table_3(times: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(row["name"] for row in times))
    if not names:
        return ""
    ours = {(row["name"], row["on"]): row for row in times}
    header = ("set", "first pass in the paper %", *(f"ours, {name} %" for name in names), "n")
    return join_table(
        header,
        [
            [
                on,
                _first_share(*passes),
                *(_own_share(ours.get((name, on))) for name in names),
                str(max((row["n"] for row in times if row["on"] == on), default=0)),
            ]
            for on, passes in _TABLE_3.items()
        ],
    )


def _own_share(row: dict[str, Any] | None) -> str:
    if row is None:
        return _NONE
    first, second, n = row["first_ms"], row["second_ms"], row["n"]
    return f"{_first_share(first, second)} ({first / n:.0f} + {second / n:.0f} ms)"


def _first_share(first: float, second: float) -> str:
    """The first pass as a share of both, in percent.

    >>> _first_share(1.0, 3.0)
    '25'
    """
    return f"{100 * first / (first + second):.0f}"


# z


def _vectors(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    experts = found["experts"]
    sizes = join_table(
        (
            "expert",
            "‖z − 1‖",
            "mean |z − 1|",
            "by eighth of the singular values",
            "kept at 64, 256 %",
        ),
        [
            [
                name,
                f"{one['norm']:g}",
                f"{one['mean']:.2g}",
                ", ".join(f"{part:.2g}" for part in one["by_index"]),
                ", ".join(f"{100 * share:.0f}" for share in one["kept"].values()),
            ]
            for name, one in experts.items()
        ],
    )
    layers = join_table(
        ("expert", "mean |z − 1| by layer, the first one first"),
        [
            [name, ", ".join(f"{n:.2g}" for n in one["by_layer"])]
            for name, one in experts.items()
        ],
    )
    angles = join_table(
        ("cosine", *experts),
        [
            [name, *(f"{cosine:.2f}" for cosine in row)]
            for name, row in zip(experts, found["cosines"], strict=True)
        ],
    )
    return f"{sizes}\n\n{layers}\n\n{angles}"
