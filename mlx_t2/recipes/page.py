"""Pages of documentation: prose written by hand in `pages/`, tables filled in from data.

Knows Markdown and paths; knows no numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from mlx_t2.files import write_whole

PACKAGE = Path(__file__).parents[1]
_PROSE = Path(__file__).parent / "pages"


@dataclass(frozen=True)
class Page:
    """A page that a command writes."""

    prose: str
    """File in `pages/` with `$name` where a table goes."""
    path: Path
    """Where the page goes."""

    def fill(self, **tables: str) -> str:
        """The page's text, each `$name` of the prose replaced by the table of that name."""
        text = (_PROSE / self.prose).read_text(encoding="utf-8")
        return Template(text).substitute(tables)

    def write(self, text: str) -> Path:
        """Put the text where the page goes; returns the path."""
        write_whole(self.path, text)
        return self.path


def join_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(join_table(("a", "b"), [("1", "2")]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "|" + "|".join("---" if cell == "---" else f" {cell} " for cell in line) + "|"
        for line in lines
    )


def percent(correct: int, n: int) -> str:
    """A share with one decimal: 39 of 40 is 97.5."""
    return f"{100 * correct / n:.1f}"


def percent_interval(interval: Sequence[float]) -> str:
    """The bounds of an interval in whole percent: (0.961, 0.99) is 96-99."""
    low, high = interval
    return f"{100 * low:.0f}-{100 * high:.0f}"


def show_p(p: float) -> str:
    """A p-value as it stands in tables: 0.004 is 0.004, 0.333 is 0.33."""
    return "< 1e-6" if p < 1e-6 else f"{p:.1g}" if p < 0.01 else f"{p:.2f}"
