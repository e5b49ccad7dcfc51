"""The part of RESULTS.md on twelve sub-domains."""

from typing import Any

from .page import join_table, percent, percent_interval

_WAYS = ("base", "own expert", "routed", "sum", "average")


def subdomains_section(found: dict[str, Any]) -> str:
    """The source; accuracy against the number of experts; every sub-domain; the cosines."""
    source = (
        f"`{found['command']}` on {found['machine']}, commit {found['commit']}, model "
        f"{found['model']}; {found['settings']['steps']} steps of "
        f"{found['settings']['prompts']} prompts at {found['settings']['lr']:g}, seed 0; "
        f"{found['n']} test problems of each sub-domain."
    )
    sizes = join_table(
        ("experts", "n", *(f"{way} %" for way in _WAYS)),
        [
            [str(row["k"]), str(row["n"]), *(_share(row, way) for way in _WAYS)]
            for row in found["sizes"]
        ],
    )
    counts = found["alone"] | found["together"]
    each = join_table(
        ("sub-domain", *(f"{way} %" for way in _WAYS)),
        [
            [name, *(percent(counts[way][name], found["n"]) for way in _WAYS)]
            for name in found["names"]
        ],
    )
    n = found["n"] * len(found["names"])
    routed = percent(found["rightly_routed"], n)
    cosines = "; ".join(
        f"{which} {mean:g} ({least:g} to {most:g})"
        for which, (least, mean, most) in found["cosines"].items()
    )
    return (
        f"{source}\n\n{sizes}\n\nWith all twelve:\n\n{each}\n\nThe head names the right one of "
        f"twelve for {routed} % of {n} test questions. Cosines of two experts, mean (least to "
        f"greatest): {cosines}."
    )


def _share(row: dict[str, Any], way: str) -> str:
    return f"{percent(row[way], row['n'])} ({percent_interval(row['intervals'][way])})"
