"""Standard streams as shells, pipes and terminals make them."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from hands.shell import say

GENERATE = "generate hi --model tiny --max-tokens 3"


@pytest.fixture
def shell(place, tmp_path):
    """Run a line of bash in a copy of `place`, where $t2 is the program."""

    def run(line: str, prepare=None, **options) -> subprocess.CompletedProcess:
        subprocess.run(["cp", "-r", place, tmp_path / "place"], check=True)
        if prepare:
            prepare(tmp_path / "place")
        return subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path / "place",
            env=environment(tmp_path),
            capture_output=True,
            timeout=120,
            **options,
        )

    return run


def environment(folder) -> dict[str, str]:
    return os.environ | {
        "t2": f"{sys.executable} -m mlx_t2_cli",
        "MLX_T2_CACHE": str(folder / "cache"),
        "MLX_T2_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
    }


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize(
    "words",
    [
        *(GENERATE, "tasks", "--help"),
        pytest.param(f"{GENERATE} --json", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_line(shell, words):
    ran = shell(f"$t2 {words} >/dev/full </dev/null")
    said = ran.stderr.decode()
    assert ran.returncode == 1
    assert "standard output: cannot be written (No space left on device)" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [f"{GENERATE}000 --temp 1", "tasks", "--help"])
def test_a_reader_who_leaves_is_no_error(shell, words):
    ran = shell(f"$t2 {words} </dev/null | true; exit ${{PIPESTATUS[0]}}")
    assert ran.returncode == 141
    assert b"Traceback" not in ran.stderr
    assert b"Exception" not in ran.stderr


@pytest.mark.parametrize(
    "closed",
    [
        *("<&- >&- 2>&-", "2>/dev/full"),
        *(pytest.param(one, marks=pytest.mark.slow) for one in (">&-", "<&- >&-", "2>&-")),
    ],
)
def test_closed_descriptors_are_not_taken_for_files(shell, closed):
    ran = shell(f"$t2 {GENERATE} {closed}")
    assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False)
    assert ran.stdout in (b"", b"nnn\n")


def test_a_silent_pipe_is_said_to_be_waited_for(shell):
    ran = shell(f"(sleep 1.6; echo bye) | $t2 {GENERATE} --json")
    assert b"waiting for standard input to end; --no-stdin answers without it" in ran.stderr
    assert b'"prompt_tokens": 15,' in ran.stdout


def test_without_stdin_nothing_is_waited_for(shell):
    ran = shell(f"sleep 20 | {{ $t2 {GENERATE} --no-stdin; kill 0; }}", start_new_session=True)
    assert ran.stdout == b"nnn\n"


def test_what_cannot_be_read_adds_nothing_to_a_prompt(shell):
    ran = shell(f"$t2 {GENERATE} 0>/dev/null")  # as nohup has it
    assert (ran.returncode, ran.stdout) == (0, b"nnn\n")


# A terminal


@pytest.fixture
def terminal(place, tmp_path):
    """What a terminal is sent by a command, and what is typed into it."""

    def run(words: str, text: str, typed: str = "") -> str:
        folder = tmp_path / "place"
        subprocess.run(["cp", "-r", place, folder], check=True)
        say(text)(folder)
        child, handle = pty.fork()
        if child == 0:
            os.chdir(folder)
            line = [sys.executable, "-m", "mlx_t2_cli", *words.split()]
            os.execve(sys.executable, line, environment(tmp_path) | {"TERM": "xterm"})
        sent, end = b"", time.monotonic() + 60
        while time.monotonic() < end:
            if typed and (b"Ctrl-D" in sent or "›".encode() in sent):
                os.write(handle, typed.encode())
                typed = ""
            if not select.select([handle], [], [], 0.1)[0]:
                continue
            try:
                more = os.read(handle, 65536)
            except OSError:
                more = b""
            if not more:
                break
            sent += more
        os.waitpid(child, 0)
        os.close(handle)
        return sent.decode(errors="replace")

    return run


@pytest.mark.parametrize(
    "parts",
    [
        {"\x1b]0;x\x07": r"\x1b]0;x\x07", "\x1b[2J": r"\x1b[2J"},
        {"\x9b2J": r"\x9b2J", "\0\x7f": r"\x00\x7f", "\u202e": r"\u202e", "a\rb": r"a\rb"},
    ],
)
def test_a_terminal_shows_what_would_move_its_cursor(terminal, parts):
    sent = terminal(GENERATE, "".join(parts))
    assert "".join(parts.values()) * 3 in sent
    assert [text for text in parts if text in sent] == []


def test_a_bare_command_says_what_it_waits_for(terminal):
    sent = terminal("generate --model tiny --max-tokens 3", "n", "hi\n\x04")
    assert "type the question; Ctrl-D on a line of its own ends it" in sent
    assert "nnn" in sent


def test_a_chat_shows_what_would_move_the_cursor(terminal):
    sent = terminal("chat --model tiny --adapt none --max-tokens 3", "\x1b[2J", "hi\n/exit\n")
    assert r"\x1b[2J\x1b[2J" in sent
    assert "\x1b[2J" not in re.sub(r"\x1b\[\?\d+[hl]", "", sent)


def test_a_spinner_leaves_no_line_behind(terminal):
    sent = terminal("eval largest --model tiny --limit 2", "n")
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", sent.split("largest, test")[1])
    assert "\r\n\r\n" not in shown


# The first moments


@pytest.mark.parametrize("module", ["typer", "rich.console", "mlx_t2", "mlx.core", "numpy"])
def test_ctrl_c_during_an_import_ends_without_a_traceback(place, module):
    code = f"""
import os, signal, sys
class Press:
    def find_spec(self, name, *_):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
sys.argv = ["t2", "generate", "hi", "--model", "tiny"]
from mlx_t2_cli.start import main
main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=place, input=b"", capture_output=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


def test_a_current_folder_that_is_gone_is_said_in_one_line(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} -c "
    script += "'from mlx_t2_cli.start import main; main()' cache"
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.startswith("current folder: ")
    assert len(ran.stderr.splitlines()) == 1
