import re
import shlex
from pathlib import Path

import typer.main
from mlx_t2_cli.main import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_block_runs(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(block, {})
    assert re.fullmatch(r"\d\d", capsys.readouterr().out.strip())


def test_every_t2_command_in_it_exists_with_its_flags():
    group = typer.main.get_command(app)
    lines = [line.strip() for line in README.splitlines() if line.startswith("    t2 ")]
    assert len(lines) >= 5
    for line in lines:
        _, name, *rest = shlex.split(line.split("#")[0])
        command = group.commands[name]
        flags = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= flags, line


def test_every_make_target_in_it_exists():
    targets = re.findall(
        r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"`make (\w+)`|^    make (\w+)", README)) <= {
        pair for t in targets for pair in ((t, ""), ("", t))
    }


def test_its_rooms_are_the_folders_on_disk():
    named = set(re.findall(r"^\| `(\S+)/` \|", README, re.MULTILINE))
    rooms = {
        f"mlx_t2/{p.name}" for p in (ROOT / "mlx_t2").iterdir() if (p / "__init__.py").exists()
    }
    assert named == rooms | {"cli"}


def test_it_is_under_250_lines():
    assert len(README.splitlines()) < 250
