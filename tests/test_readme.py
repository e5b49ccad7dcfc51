"""The README keeps what it says: every block runs as it is written, and what it lists is there.

A comment before a block, which the page does not show, says what running it takes: `slow`,
`fresh environment` (it installs). In a block that is not marked, what stands after # is what
the line prints.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import typer.main
from mlx_t2_cli.program import app

ROOT = Path(__file__).parents[1]
UsageError = typer.BadParameter.__mro__[1]  # of click, or of the copy that typer carries
README = (ROOT / "README.md").read_text(encoding="utf-8")
WALKTHROUGH = (ROOT / "mlx_t2/recipes/WALKTHROUGH.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced or an indented block of a page."""

    language: str
    """`shell` where it is indented."""
    marks: frozenset[str]
    text: str

    @property
    def printed(self) -> list[str]:
        """What stands after # in its lines."""
        return re.findall(r"  # (.*)$", self.text, re.MULTILINE)


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found, marks, lines = [], frozenset(), iter(page.splitlines())
    for line in lines:
        if comment := re.fullmatch(r"<!-- (.*) -->", line):
            marks = frozenset(comment[1].split(", "))
        elif fence := re.fullmatch(r"```(\w+)", line):
            inside = list(iter(lambda: next(lines), "```"))
            found.append(Block(fence[1], marks, "\n".join(inside)))
            marks = frozenset()
        elif line.startswith("    "):
            inside = [line[4:]]
            while (line := next(lines, "")).startswith("    "):
                inside.append(line[4:])
            found.append(Block("shell", marks, "\n".join(inside)))
            marks = frozenset()
    return found


def to_run(*, fresh: bool) -> list:
    """The shell blocks that can run here, the slow ones marked."""
    return [
        pytest.param(block, id=block.text.splitlines()[0], marks=[pytest.mark.slow] * is_slow)
        for block in [*blocks(README), *(one for one in blocks(WALKTHROUGH) if one.marks)]
        if block.language == "shell"
        if ("fresh environment" in block.marks) == fresh
        for is_slow in ["slow" in block.marks]
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the project's environment and without anybody's runs."""
    folder = tmp_path_factory.mktemp("place")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


def run(script: str, folder: Path) -> str:
    """What a script prints on stdout, run by bash."""
    variables = os.environ | {"MLX_T2_HOME": str(folder / "home")}
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    ran = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("block", to_run(fresh=False))
def test_a_block_runs_as_it_is_written(block, place):
    if (
        "make setup" in block.text
    ):  # which works in a clone, and changes nothing when it is done
        run(block.text, ROOT)
        return
    printed = run(f". .venv/bin/activate\n{block.text}", place)
    assert block.printed in ([], printed.splitlines())


@pytest.mark.parametrize("block", to_run(fresh=True))
def test_a_block_that_installs_runs_in_a_fresh_environment(block, tmp_path):
    for name in ("mlx_t2", "cli", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / ".venv"], check=True)
    run(f". .venv/bin/activate\n{block.text}\nt2 doctor", tmp_path)


def test_the_python_block_prints_what_it_says(capsys):
    (block,) = [block for block in blocks(README) if block.language == "python"]
    exec(block.text, {})
    assert capsys.readouterr().out.splitlines() == block.printed == ["95"]


def test_every_block_is_run_or_has_no_command():
    kinds = Counter(block.language for block in blocks(README))
    assert kinds.keys() == {"shell", "python"}
    marks = frozenset().union(*(block.marks for block in blocks(README)))
    assert marks == {"slow"}
    assert sum("fresh environment" in block.marks for block in blocks(WALKTHROUGH)) == 1


@pytest.mark.parametrize("page", [README, WALKTHROUGH], ids=["README", "WALKTHROUGH"])
def test_every_t2_command_takes_the_flags_it_is_given(page):
    lines = [
        line[line.index("t2 ") :].split("  #")[0].removesuffix("&")
        for block in blocks(page)
        if block.language == "shell"
        for line in block.text.splitlines()
        if re.match(r"(?:mlx\.launch .*/)?t2 ", line)
    ]
    assert len(lines) >= 7
    for line in lines:
        parse(shlex.split(line)[1:])


def parse(words: list[str]) -> None:
    """Let the command of the program parse its words; nothing is run."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert not (words and hasattr(command, "commands")), f"no command {words[0]}"
    command.make_context(command.name, list(words))


@pytest.mark.parametrize(
    "line",
    ["train largest --stepps 3", "nothing", "tasks nothing", "eval", "train a --steps b"],
)
def test_a_planted_command_that_does_not_exist_is_caught(line):
    with pytest.raises((UsageError, AssertionError)):
        parse(shlex.split(line))


def test_every_make_target_in_it_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {
        name for line in re.findall(r"^([\w ]+):", makefile, re.M) for name in line.split()
    }
    named = set(re.findall(r"`make (\w+)`|^    make (\w+)", README, re.M))
    assert named
    assert {first or second for first, second in named} <= targets


def test_every_link_into_the_project_leads_somewhere():
    links = re.findall(r"\]\(([\w./-]+)(#[\w-]+)?\)", README)
    assert [link for link, _ in links if not (ROOT / link).exists()] == []
    for link, heading in links:
        if heading:
            text = (ROOT / link).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", text, re.M)
            assert heading[1:] in {re.sub(r"[^\w]+", "-", h.lower()) for h in headings}


def test_its_rooms_are_the_folders_on_disk():
    named = re.findall(r"^\| `(\S+)/` \|", README, re.MULTILINE)
    rooms = {
        f"mlx_t2/{p.name}" for p in (ROOT / "mlx_t2").iterdir() if (p / "__init__.py").exists()
    }
    assert len(named) == len(set(named))
    assert set(named) == rooms | {"cli"}


def test_its_departures_are_those_of_the_code_each_linked_to_its_file():
    section = README.split("## Where we differ")[1].split("\n## ")[0]
    listed = re.findall(r"^(\d+)\. .*\(\[[^]]+\]\((\S+)\)\)\.$", section, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, len(listed) + 1))
    in_code = sorted(
        (number, path.relative_to(ROOT).as_posix())
        for path in (ROOT / "mlx_t2").rglob("*.py")
        for number in re.findall(r"\bDiffers \((\d+)\)", path.read_text(encoding="utf-8"))
    )
    assert in_code == sorted(listed)


def test_it_is_under_150_lines():
    assert len(README.splitlines()) < 150
