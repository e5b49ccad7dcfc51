"""`mlx_t2/recipes/RESULTS.md`: every result with its command, commit, seed and interval,
written from the numbers on disk.

Reads the `results.json` of each bundle of experts and the files in `results/`; measures nothing
and loads no model. A number that nobody recorded is shown as –, never guessed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_t2.evaluation import wilson
from mlx_t2.experts import BUNDLED

from .evidence import evidence_section
from .exports_page import exports_section
from .forms_page import forms_section, macs_section
from .page import PACKAGE, Page, join_table, percent, percent_interval, show_p
from .strategies_page import strategies_section
from .subdomains_page import subdomains_section

RESULTS = Page("results.md", PACKAGE / "recipes" / "RESULTS.md")
DATA = Path(__file__).parent / "results"
"""What was measured, one file per table."""
NOT_RECORDED = "–"


def render_results() -> str:
    """The page as it should be today."""
    bundles = [_read(path) for path in sorted(BUNDLED.glob("*/results.json"))]
    return RESULTS.fill(
        bundles="\n\n".join(map(_bundle_table, bundles)),
        router=router_section(_read(DATA / "router.json")),
        strategies=strategies_section(_read(DATA / "strategies.json")),
        subdomains=_subdomains(),
        arc=arc_section(_read(DATA / "arc.json")),
        evidence=evidence_section(),
        study=study_section(_read(DATA / "study.json")),
        public=public_section(_read(DATA / "accuracy.json")["public"]),
        accuracy=_accuracy_table(_read(DATA / "accuracy.json")),
        exports=exports_section(_read(DATA / "exports.json")),
        forms=forms_section(),
        macs=macs_section(),
        speed=_speed_table(_read(DATA / "speed.json")),
    )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _subdomains() -> str:
    path = DATA / "subdomains.json"
    return subdomains_section(_read(path)) if path.exists() else "Not measured yet."


# Bundled experts


def _bundle_table(bundle: dict[str, Any]) -> str:
    source = (
        f"`{bundle['command']}` on {bundle['machine']}, commit {bundle['commit']}, model "
        f"{bundle['model']}; {bundle['test']} test problems per task, 95 % intervals in "
        "brackets."
    )
    seeds = join_table(
        ("test problems", "base", "seed 0", "seed 1", "seed 2"),
        [_seed_cells(task, rows, bundle["chosen"]) for task, rows in bundle["seeds"].items()],
    )
    return f"{source}\n\n{seeds}"


def _seed_cells(task: str, rows: dict[str, Any], chosen: dict[str, int]) -> list[str]:
    domain = task.partition("-")[0]
    names = ("none", *(f"{domain}-{seed}" for seed in range(3)))
    return [task, *(_seed_cell(rows.get(n), n == f"{domain}-{chosen[domain]}") for n in names)]


def _seed_cell(row: dict[str, Any] | None, is_chosen: bool) -> str:
    if row is None:
        return NOT_RECORDED
    share = percent(row["correct"], row["n"])
    return f"{f'**{share}**' if is_chosen else share} ({percent_interval(row['interval'])})"


# The router


def router_section(router: dict[str, Any]) -> str:
    """Source and validation; how many requests of each source go where they belong; and every
    ordinary one that does not.
    """
    validation = router["validation"]
    source = (
        f"`{router['command']}` on {router['machine']}, commit {router['commit']}, model "
        f"{router['model']}, {router['seconds']:.0f} s for {validation['examples']} examples "
        f"and {validation['checked']} to calibrate with. Temperature "
        f"{validation['temperature']:.2f}, "
        f"threshold {router['threshold']:.3f}; on validation {validation['adapted']} of "
        f"{validation['ordinary']} ordinary requests adapted."
    )
    rows = [
        (name, *_count_cells(hits, n), "routed to their expert")
        for name, (hits, n) in router["questions"].items()
    ] + [
        (name, *_count_cells(hits, n), "adapted")
        for name, (hits, n) in (
            *router["requests"].items(),
            ("all ordinary requests", (router["adapted"], router["n"])),
        )
    ]
    table = join_table(("test requests", "n", "share %", "what"), rows)
    accepted = "\n".join(
        f"- `{said}` → {label}, {meant:.3f}" for said, label, meant in router["accepted"]
    )
    return f"{source}\n\n{table}\n\nOrdinary requests adapted:\n\n{accepted or '- none'}"


def _count_cells(hits: int, n: int) -> tuple[str, str]:
    low, high = (100 * bound for bound in wilson(hits, n))
    return str(n), f"{100 * hits / n:.1f} ({low:.1f}-{high:.1f})"


# ARC by scored options


def arc_section(arc: dict[str, Any]) -> str:
    """The source of the numbers; one row per part and form of the prompt: accuracy of the base
    model and of each seed; then each seed against the base model, problem by problem.
    """
    source = (
        f"`{arc['command']}` on {arc['machine']}, trained at commit {arc['trained']}, answered "
        f"at {arc['commit']}, model {arc['model']}; rows: "
        f"{'. '.join(dict.fromkeys(arc['sources'].values()))}."
    )
    groups: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for row in arc["rows"]:
        key = (f"{row['task']} ({row['split']})", row["form"], str(row["n"]))
        groups.setdefault(key, {})[row["name"]] = row
    names = list(dict.fromkeys(row["name"] for row in arc["rows"]))
    shares = join_table(
        ("problems", "prompt", "n", *names),
        [
            [*key, *(_arc_share(rows.get(name), arc) for name in names)]
            for key, rows in groups.items()
        ],
    )
    pairs = join_table(
        ("problems", "seed", "its prompt", "base model's prompt", "fixed", "broken", "p"),
        [
            [row["task"], row["name"], row["form"], form, *_pair_cells(pair)]
            for row in arc["rows"]
            for form, pair in row.get("against", {}).items()
        ],
    )
    best = ", ".join(
        f"{100 * before:.1f} → {100 * after:.1f} % (seed {seed})"
        for seed, (before, after) in arc["validation"].items()
    )
    shipped = ", and is shipped" if arc["holds"] else ""
    return (
        f"{source} On {arc['n_validation']} validation problems: {best}; the best is in bold"
        f"{shipped}.\n\n{shares}\n\nProblem by problem against the base model:\n\n{pairs}"
    )


def _arc_share(row: dict[str, Any] | None, arc: dict[str, Any]) -> str:
    if row is None:
        return NOT_RECORDED
    share = percent(row["correct"], row["n"])
    is_chosen = row["name"] == f"seed {arc['chosen']}"
    return f"{f'**{share}**' if is_chosen else share} ({percent_interval(row['interval'])})"


def _pair_cells(pair: dict[str, Any]) -> list[str]:
    return [str(pair["fixed"]), str(pair["broken"]), show_p(pair["p"])]


# The base model on public sets


def public_section(public: dict[str, Any]) -> str:
    """The source of the numbers, then one row per set: accuracy with its interval, the share in
    the form asked for, whatever the form, and of those cut off.
    """
    header = (
        *("set", "n", "of", "accuracy %", "in the form asked for %", "whatever the form %"),
        *("cut off %", "at tokens", "commit"),
    )
    rows = [
        [
            row["task"],
            str(row["n"]),
            f"{row['available']} ({row['split']})",
            _share_cell(row),
            *(f"{100 * row[key]:.1f}" for key in ("strict", "lenient", "truncated")),
            str(row["max_tokens"]),
            row["commit"],
        ]
        for row in public["rows"]
    ]
    source = (
        f"`{public['command']}` on {public['machine']}, model {public['model']}, seed "
        f"{public['seed']}, greedy: the first n problems of the split in its fixed order. "
        f"Rows: {'. '.join(dict.fromkeys(row['source'] for row in public['rows']))}."
    )
    return f"{source}\n\n{join_table(header, rows)}"


# What the settings are worth


def study_section(study: dict[str, Any]) -> str:
    """The source of the numbers, then one row per setting: accuracy and interval of each seed,
    steps until validation is 30 points above the base model.
    """
    source = f"`{study['command']}` on {study['machine']}."
    header = ("task", "base %", "setting", "seed: accuracy %", "mean", "steps to +30", "commit")
    return f"{source}\n\n{join_table(header, map(_setting_cells, study['settings']))}"


def _setting_cells(setting: dict[str, Any]) -> list[str]:
    seeds = setting["seeds"]
    return [
        setting["task"],
        f"{100 * seeds[0]['base']:.1f}",
        setting["name"],
        ", ".join(f"{s['seed']}: {_share_cell(s)}" for s in seeds),
        percent(*_totals(seeds)) if len(seeds) > 1 else NOT_RECORDED,
        ", ".join(str(s["steps_to_30"] or "never") for s in seeds),
        setting["commit"],
    ]


def _totals(seeds: list[dict[str, Any]]) -> tuple[int, int]:
    return sum(s["correct"] for s in seeds), sum(s["n"] for s in seeds)


def _share_cell(row: dict[str, Any]) -> str:
    correct, n = row["correct"], row["n"]
    return f"{percent(correct, n)} ({percent_interval(wilson(correct, n))})"


# Single measurements


def _accuracy_table(accuracy: dict[str, Any]) -> str:
    header = ("model", "expert", "accuracy %", "n", "seed", "command", "machine", "commit")
    return join_table(
        header,
        (
            [
                row["model"],
                row["expert"],
                _share_cell(row),
                str(row["n"]),
                str(row["seed"]),
                f"`{row['command']}`",
                row["machine"],
                row["commit"],
            ]
            for row in accuracy["rows"]
        ),
    )


def _speed_table(speed: dict[str, Any]) -> str:
    header = ("what", "ours", "other", "ratio", "target", "against", "suite", "commit")
    return "\n\n".join(
        f"On {machine}:\n\n{join_table(header, map(_speed_cells, rows))}"
        for machine, rows in _group_by_machine(speed["rows"]).items()
    )


def _group_by_machine(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["machine"], []).append(row)
    return groups


def _speed_cells(row: dict[str, Any]) -> list[str]:
    ratio = row["ratio"]
    return [
        row["name"],
        _amount(row["ours"], row["unit"]),
        _amount(row["other"], row["unit"]),
        NOT_RECORDED if ratio is None else f"{ratio:.0f}" if ratio >= 100 else f"{ratio:g}",
        row["target"],
        row["against"],
        row["suite"],
        row["commit"],
    ]


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return NOT_RECORDED
    if unit == "s":
        return f"{value:g} s" if value >= 1 else f"{1000 * value:.3g} ms"
    return f"{value:g}" if unit in ("relative error", "logits") else f"{value:g} {unit}"
