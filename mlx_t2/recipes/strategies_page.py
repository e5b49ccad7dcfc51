"""The tables of `make strategies`, from its results. Measures nothing."""

from typing import Any

from .page import join_table, percent, percent_interval


def strategies_section(found: dict[str, Any]) -> str:
    """The source, the table over the domains that the experts know, the one over the unseen
    domain, and the first passes.
    """
    source = (
        f"`{found['command']}` on {found['machine']}, commit {found['commit']}, model "
        f"{found['model']}; {found['n']} test problems of each domain, or all that there "
        f"are, seed 0, {_FORMS[found['form']]}."
    )
    search = found["search"]
    searched = (
        f"Searched mixtures: {search['shots']} training problems, {search['population']} "
        f"candidates, {search['iterations']} iterations; climbed ones: "
        f"{found['climb']['iterations']} steps of the gradient. The number is the seed."
    )
    is_searched = any(
        name.startswith(("searched", "climbed")) for name in (*found["known"], *found["unseen"])
    )
    parts = [source, *([searched] if is_searched else [])]
    parts += [_table(found["known"]), "The unseen domain:"]
    parts.append(_table(found["unseen"]))
    if found["first_pass_ms"]:
        times = ", ".join(f"{name} {ms:g}" for name, ms in found["first_pass_ms"].items())
        parts.append(f"First pass, median over bare questions [ms]: {times}.")
    return "\n\n".join(parts)


_FORMS = {
    "bare": "asked bare",
    "shared": "asked in one prompt that all domains share",
}


def _table(rows: dict[str, dict[str, Any]]) -> str:
    ordered = sorted(rows.items(), key=lambda pair: pair[1]["correct"])
    return join_table(
        ("strategy", "n", "accuracy %", "by domain", "fixed, broken against auto", "p"),
        [_cells(name, row) for name, row in ordered],
    )


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    paired, parts = row["against_auto"], row["by_task"]
    share = percent(row["correct"], row["n"])
    each = row["n"] // len(parts)
    return [
        name,
        str(row["n"]),
        f"{share} ({percent_interval(row['interval'])})",
        ", ".join(percent(count, each) for count in parts),
        *_against_auto(name, paired),
    ]


def _against_auto(name: str, paired: dict[str, Any] | None) -> tuple[str, str]:
    """What the strategy fixes and breaks, and how likely that is by chance."""
    if paired is None or name == "auto":
        return "", ""
    p = paired["p"]
    shown = "< 0.001" if p < 0.001 else f"{p:.{3 if p < 0.1 else 2}f}"
    return f"{paired['fixed']}, {paired['broken']}", shown
