"""The English of the project: patterns that a native reader has to decode, each with what to
write instead, looked for in code, comments, docstrings, messages and pages alike.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_COUNTED = (
    r"problems?|completions?|tokens?|numbers?|values|vectors?|rows?|prompts?|samples?|updates?"
    r"|seconds|bytes|matrices|basis|expert|lines?|calls?|steps?|threads|process(?:es)?"
    r"|readings?|passes|objects?|answers?|gradients?|once|twice|times|[0-9]+|one"
)
_UNITS = (
    r"step|problem|second|row|weight|prompt|token|completion|layer|matrix|core|process|epoch"
    r"|batch|group|class|kind of|message|conversation|request|question|line|singular value"
    r"|thread|day|run"
)
_THING = r"(?:number|array|text|file|folder|integer|float|list|table)s?"
FORBIDDEN = [  # (pattern, what to write instead, an example); case does not matter
    (rf"\b(?:{_COUNTED}) an? (?:{_UNITS})\b", "per", "Problems a step."),
    (r"\bcame\b", "got `x`, expected `y`", "`x` came, expected `y`"),
    (r"\bno \w+ any ?more\b", "NaN or infinite", "a loss that is no number any more"),
    (rf"\b(?:is|are) no {_THING}\b(?! any)", "is not a …", "the scores are no numbers"),
    (r"\bshut(?:s|ting)?\b|\bkeeps? it open\b", "collapses", "the policy shuts on it"),
    (r"\bso many\b", "name the number", "so many times as copies says"),
    (r"\bwhat (?:\w+ ){1,4}(?:come|amount)s? to\b", "name the result", "what all amounts to"),
    (r"\bwhat is none\b", "what is outside …", "what is none of the three"),
    (r"\bof (?:its|their) cannot\b", "one of its … cannot", "a cache of its cannot be merged"),
    (r"\bonce more for\b", "again for each", "once more for every completion"),
    (r"\bto be (?:measured|compared) against\b", "beside …", "to be measured against"),
    (r"\brests? then\b|\bthen rests?\b", "is left unused", "old folders rest then"),
    (r"\blies, or would lie\b", "is, or would be", "where it lies, or would lie"),
    (r"\bhalf as \w+ again\b", "1.5 times as …", "half as fast again as one process"),
    (
        r"(?-i:^\s*(?:\w+: str = |\w+=)?(?:f?\"+|# )Of (?!one\b|all\b))",
        "a noun or a verb first",
        '"""Of q and s."""',
    ),
    (r"(?<!paper's )\bdispatch(?:er|ing|ed)?\b", "router", "the dispatch vector"),
    (r"\b(?:decomposed|learnable)_params\b|\bsigma_vals\b", "bases, z, s", "learnable_params"),
    (r"\bsample_details\b|\bvllm_model\b|\balphas\b", "STYLE §3", "alphas = [0.5]"),
    (r"(?-i:\bU_\b)", "u", "U_ = u"),
]
PARTICIPLE = re.compile(
    r"_*(?:opened|decomposed|watched|answered|routed|sampled|weighted|resumed|started|stacked"
    r"|mixed|realised|examined|grouped|worn|(?:\w+_)?told|asked|trained|measured|shaped|worded"
    r"|prepared|composed|made_up|fitted|interleaved|allocated|gathered|drained"
    r"|targeted|owned|encoded|damaged|installed|checkpointed|widened|graded|diverged|transferred"
    r"|unmeasured)"
)
"""Names of functions that say what something is, where a verb would say what they do."""


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of all that people read: code, pages, the README."""
    patterns = ("mlx_t2/**/*.py", "mlx_t2/**/*.md", "cli/**/*.py", "README.md")
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def decoded(root: Path) -> list[str]:
    """`file:line 'words': what to write instead`, wherever a reader has to decode."""
    found = []
    for file, text in texts(root):
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, instead, _ in FORBIDDEN:
                for match in re.finditer(pattern, line, re.IGNORECASE):
                    found.append(f"{file}:{number} {match[0].strip()!r}: {instead}")
        if file.endswith(".py"):
            found += [f"{file}:{at} {name!r}: a verb" for at, name in participles(text)]
    return found


def participles(text: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every function named by a participle; a property may be one."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or not PARTICIPLE.fullmatch(node.name):
            continue
        if not any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list):
            yield node.lineno, node.name


def plant(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True)
    (root / file).write_text(text, encoding="utf-8")


def test_nothing_has_to_be_decoded():
    found = decoded(ROOT)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("pattern", "instead", "example"), FORBIDDEN)
def test_a_planted_example_is_named_with_its_cure(tmp_path, pattern, instead, example):
    plant(tmp_path, "mlx_t2/svf/a.md", f"all is well\n{example}\n")
    words = re.search(pattern, example, re.IGNORECASE)
    assert words is not None
    assert decoded(tmp_path) == [f"mlx_t2/svf/a.md:2 {words[0].strip()!r}: {instead}"]


@pytest.mark.parametrize("file", ["mlx_t2/a.py", "cli/a.py", "mlx_t2/recipes/pages/a.md"])
def test_code_commands_and_pages_are_looked_through(tmp_path, file):
    plant(tmp_path, file, "# it came")
    assert decoded(tmp_path) == [f"{file}:1 'came': got `x`, expected `y`"]


def test_a_planted_participle_is_named_but_not_a_property(tmp_path):
    code = "class A:\n    @property\n    def worn(self): ...\n    def _mixed(self): ...\n"
    plant(tmp_path, "cli/a.py", code)
    assert decoded(tmp_path) == ["cli/a.py:4 '_mixed': a verb"]


@pytest.mark.parametrize(
    "line",
    [
        "problems per step; one problem at a time; a row of a batch",
        "which scales a conversation is answered with",
        "Of one row, of all rows",  # the middle of a sentence
        "shutil.copyfile, shutdown",
        "the answer is no longer than the limit",
    ],
)
def test_what_a_native_reader_writes_passes(tmp_path, line):
    plant(tmp_path, "mlx_t2/a.md", line)
    assert decoded(tmp_path) == []
