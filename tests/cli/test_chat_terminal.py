"""A chat through a pseudo-terminal, as a person sees it: what is on the screen after a key."""

import json
import os
import re
import signal
import sys
import time
from functools import partial
from io import StringIO

import pexpect
import pyte
import pytest
from mlx_t2_cli.chat import columns
from mlx_t2_cli.painter import BlockPainter, BlockSplitter
from mlx_t2_cli.terminal import LineBreaker
from rich.console import Console

from mlx_t2.sampling import Token

PATIENCE_S = 300
CHAT = "chat --model tiny --experts experts --adapt off --max-tokens 8"


class Answering(pyte.HistoryScreen):
    """A screen that answers the questions of programs, as terminals do."""

    def __init__(self, columns, rows, answer):
        super().__init__(columns, rows, history=10_000, ratio=0.5)
        self.write_process_input = answer


class Terminal:
    """A chat in a window, and somebody at its keyboard."""

    def __init__(self, place, words=CHAT, columns=80, rows=24, **environment):
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "mlx_t2_cli", *words.split()],
            cwd=str(place),
            env=clean | {"TERM": "xterm-256color"} | environment,
            dimensions=(rows, columns),
            encoding="utf-8",
            # a shell has what it starts in the background ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        # keys are sent when a prompt is seen: they need no pause before them
        self.child.delaybeforesend = None
        self.screen = Answering(columns, rows, self.child.send)
        self.stream = pyte.Stream(self.screen)
        self.log = ""
        self._shown = None

    @property
    def lines(self):
        """What is on the screen, and what has scrolled off it."""
        gone = self.screen.history.top
        width = range(self.screen.columns)
        scrolled = ["".join(line[x].data for x in width).rstrip() for line in gone]
        return [*scrolled, *(line.rstrip() for line in self.screen.display)]

    @property
    def lines_shown(self):
        """All of it, without blank lines."""
        if self._shown is None:
            self._shown = [line for line in self.lines if line]
        return self._shown

    @property
    def text(self):
        """The same in one."""
        return "\n".join(self.lines_shown)

    def resize(self, rows, columns):
        """Drag the window to another size."""
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)
        self._shown = None

    def listen(self, until, what):
        """Show what is written until something is so."""
        end = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < end, f"waited for {what}, the screen has:\n{self.text}"
            try:
                piece = self.child.read_nonblocking(4096, timeout=0.02)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                assert until(), f"ended before {what}:\n{self.text}"
                return
            self.log += piece
            self.stream.feed(piece)
            self._shown = None

    def wait(self, prompt="off ›"):
        """Until it is the person's turn."""
        self.listen(lambda: self.text.endswith(f"\n{prompt}") or self.text == prompt, prompt)

    def type(self, keys, shown):
        """Keys, and what the last line then has."""
        self.child.send(keys)
        self.listen(lambda: shown in self.text.splitlines()[-1], shown)

    def say(self, line, prompt="off ›"):
        """A line and Enter; what is on the screen behind it when it has been answered."""
        shown = line[-20:]
        self.type(line, shown)
        before = self.text
        self.child.send("\r")
        self.listen(lambda: self.text != before, "Enter")
        self.wait(prompt)
        return self.text.rpartition(shown)[2].rpartition("\n")[0].strip("\n")

    def leave(self):
        """Ctrl-D; the exit code."""
        self.child.sendeof()
        self.listen(lambda: not self.child.isalive(), "the end")
        self.child.close()
        assert "Traceback" not in self.log
        return self.child.exitstatus


@pytest.fixture
def open_chat(place, experts, home):
    """Open a window; it is closed behind the test."""
    opened = []

    def open_one(words=CHAT, **options):
        opened.append(Terminal(place, words, **options))
        return opened[-1]

    yield open_one
    for chat in opened:
        chat.child.close(force=True)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MLX_T2_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def kept(home):
    """The turns of the last session."""
    *_, file = sorted((home / "sessions").glob("*.jsonl"))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_command_works_at_a_terminal(open_chat, home):
    chat = open_chat(rows=40)
    chat.wait()
    footer = r"off · \d+ tokens to read · first token [\d.]+ s · [\d.]+ tokens/s · cut at 8"
    assert re.search(footer, " ".join(chat.say("hello there").split()))
    assert re.search(r"off · \d+ of \d+ tokens to read", chat.say("go on"))
    assert "largest" in chat.say("/experts")
    assert "the base model" in chat.say("/why")
    assert "tokens per second" in chat.say("/stats")
    chat.type("/exp", "/exp")
    chat.type("ert\t", "/expert")
    chat.child.send("\x15")
    chat.type("/expert al\t", "/expert alpha")
    chat.child.send("\r")
    chat.wait("alpha ›")
    assert "alpha · " in chat.say("hello", "alpha ›")
    mixed = "alpha·0.5+beta·0.5 ›"
    chat.say("/mix alpha=0.5, beta=0.5", mixed)
    assert "alpha·0.5+beta·0.5 · " in chat.say("/retry", mixed)
    chat.say("/expert off")
    assert "── off ──" in chat.say("/compare alpha off")
    chat.say("/blind alpha off")
    chat.say("1")
    assert "(1 vote)" in chat.text
    assert "forgotten: hello" in chat.say("/undo")
    chat.type("/edit", "/edit")
    chat.child.send("\r")
    chat.listen(lambda: chat.text.endswith("off › go on"), "the question to be edited")
    chat.say(" and on")
    assert [turn["question"] for turn in kept(home)] == ["hello there", "go on and on"]
    assert "top-p = 0.5" in chat.say("/set top-p 0.5")
    assert "repetition-penalty" in chat.say("/set")
    assert "begun anew" in chat.say("/system be brief")
    chat.say("/reset")
    chat.say("hi")
    assert "kept as mine" in chat.say("/save mine")
    assert "mine" in chat.say("/load")
    assert "written" in chat.say("/export x.md")
    assert "tiny" in chat.say("/model")
    chat.say("/help")
    assert "the same without names" in chat.text
    assert "no such command" in chat.say("/nonsense")
    chat.say("//literal")
    assert chat.leave() == 0
    assert kept(home)[-1]["question"] == "/literal"
    history = (home / "chat_history").read_text()
    assert "+hello there" in history


def test_pasted_and_continued_lines_are_one_message(open_chat, home):
    chat = open_chat(rows=40)
    chat.wait()
    chat.child.send("\x1b[200~one\rtwo\rthree\x1b[201~")
    chat.listen(lambda: "three" in chat.text, "what was pasted")
    chat.child.send("\r")
    chat.wait()
    chat.child.send("four\x1b\rfive")
    chat.listen(lambda: "five" in chat.text, "the second line")
    chat.child.send("\r")
    chat.wait()
    chat.child.send('"""\rsix\rseven')
    chat.listen(lambda: "seven" in chat.text, "the quoted lines")
    chat.child.send('"""\r')
    chat.wait()
    questions = [turn["question"] for turn in kept(home)]
    assert questions == ["one\ntwo\nthree", "four\nfive", "six\nseven"]
    assert chat.leave() == 0


def moments(chat):
    """For each of ten moments behind Enter, what begins to wait for it: five by the clock, some
    of which fall into the first pass, and five by the lines of the answer that are shown.
    """

    def when_time_is_up(seconds):
        end = time.monotonic() + seconds
        return lambda: time.monotonic() > end

    def when_shown(lines):
        before = len(chat.lines_shown)
        return lambda: len(chat.lines_shown) >= before + lines

    yield from (partial(when_time_is_up, seconds) for seconds in (0, 0.01, 0.03, 0.1, 0.2))
    yield from (partial(when_shown, lines) for lines in range(1, 6))


def test_ctrl_c_at_ten_moments_stops_the_answer_and_keeps_what_was_said(open_chat, home):
    words = CHAT.replace("--max-tokens 8", "--max-tokens 100000")
    chat = open_chat(words, rows=40, columns=30)
    chat.wait()
    chat.child.send("a line that is not sent")
    chat.listen(lambda: "not sent" in chat.text, "what is typed")
    chat.child.send("\x03")
    chat.wait()
    for number, is_time in enumerate(moments(chat)):
        chat.type(f"moment {number}", f"moment {number}")
        chat.child.send("\r")
        chat.listen(lambda: "moment" not in chat.text.splitlines()[-1], "the answer")
        chat.listen(is_time(), "the moment")
        chat.child.send("\x03")
        chat.wait()
    turns = kept(home)
    taken_back = " ".join(chat.text.split()).count("the question is taken back")
    assert len(turns) + taken_back == 10
    assert len(turns) >= 5
    assert {turn["finish_reason"] for turn in turns} == {"interrupted"}
    assert all(turn["answer"] for turn in turns)
    assert "stopped" in chat.text
    chat.say("/set max-tokens 4")
    assert "cut at 4 tokens" in " ".join(chat.say("and now").split())
    chat.say("/set max-tokens 100000")
    chat.type("/compare alpha off", "alpha off")
    chat.child.send("\r")
    chat.listen(lambda: "── alpha ──\n" in chat.text, "both answers")
    chat.child.send("\x03")
    chat.wait()
    assert chat.leave() == 0


def test_a_window_that_becomes_narrow_in_the_middle_of_an_answer(open_chat, home):
    words = CHAT.replace("--max-tokens 8", "--max-tokens 300")
    chat = open_chat(words, columns=80)
    chat.wait()
    chat.type("hello", "hello")
    chat.child.send("\r")
    chat.listen(lambda: "hello" not in chat.text.splitlines()[-1], "the answer")
    chat.resize(12, 40)
    chat.wait()
    assert "cut at 300 tokens" in " ".join(chat.text.split())
    narrow = chat.say("/stats")
    assert "tokens per second" in " ".join(narrow.split())
    long = "alpha=0.123456,beta=0.654321"
    chat.say(f"/mix {long}", "alpha·0.123456+beta… ›")
    chat.say("/expert off")
    chat.resize(30, 20)
    for line in ("/help", "/why", "/set", "/experts", "/compare alpha off", "hello"):
        chat.child.send(line)
        chat.listen(lambda: not chat.text.endswith(" ›"), line)
        chat.child.send("\r")
        chat.wait()
    assert re.search(r"name +alpha", chat.text)
    assert "── alpha ──" in chat.lines_shown
    assert not re.search("[┃│]", chat.text)
    assert chat.leave() == 0


def test_a_dumb_terminal_gets_lines_and_no_controls(open_chat, home):
    chat = open_chat(TERM="dumb")
    chat.wait()
    assert "cut at 8 tokens" in " ".join(chat.say("hello").split())
    chat.say('/expert "', "off ›")
    assert "unknown" in chat.text
    assert chat.leave() == 0
    assert "\x1b" not in chat.log


def test_no_color_and_no_history_are_obeyed(open_chat, home):
    chat = open_chat(f"{CHAT} --no-history", NO_COLOR="1")
    chat.wait()
    chat.say("hello")
    chat.say("/nonsense")
    assert chat.leave() == 0
    assert not re.search(r"\x1b\[[\d;]*[34]\d[;m]", chat.log)
    assert not home.exists() or not [p for p in home.rglob("*") if p.is_file()]


# What is painted


MARKDOWN = """# A title

Some *text* that is long enough to be broken on a narrow screen, with `code` in it.

- one
- two with more words than fit into a line of the screen

```python
def f(x):

    return x
```

1. first
2. second
"""


def screen_of(written, columns, rows=12):
    screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=0.5)
    pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    gone = ["".join(line[x].data for x in range(columns)) for line in screen.history.top]
    return [line.rstrip() for line in [*gone, *screen.display]]


def painted(pieces, columns, rows=12):
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=columns, height=rows)
    BlockPainter(console).paint(pieces)
    return "\n".join(screen_of(file.getvalue(), columns, rows)).strip()


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("size", [1, 7])
def test_what_is_painted_in_pieces_looks_like_the_whole(columns, size):
    pieces = [MARKDOWN[i : i + size] for i in range(0, len(MARKDOWN), size)]
    whole = painted([MARKDOWN], columns, rows=60)
    assert painted(pieces, columns, rows=60) == whole
    assert "**" not in whole
    assert "return x" in whole


def test_a_block_higher_than_the_screen_is_painted_once():
    text = "word " * 200
    pieces = [text[i : i + 5] for i in range(0, len(text), 5)]
    assert painted(pieces, 30, rows=8).split() == text.split()


def test_blocks_end_at_blank_lines_but_not_inside_a_program():
    splitter = BlockSplitter()
    blocks = [*splitter.feed(MARKDOWN), *splitter.finish()]
    firsts = [block.split()[0] for block in blocks]
    assert firsts == ["#", "Some", "-", "```python", "1."]


def test_words_stay_whole_when_the_width_changes():
    before, after = "some words of a sentence that goes on ", "and on in a narrow window "
    breaker = LineBreaker(30)
    shown = breaker.feed(before)
    breaker.width = 12
    shown += breaker.feed(after) + breaker.finish()
    assert shown.split() == (before + after).split()
    *_, last = shown.split("\n")
    assert len(last.rstrip()) <= 12


def tokens(*texts):
    """(side, token) in turn, word by word."""
    queues = [re.findall(r"\S+\s*", text) for text in texts]
    for at in range(max(map(len, queues))):
        for side, queue in enumerate(queues):
            if at < len(queue):
                reason = "stop" if at + 1 == len(queue) else None
                yield side, Token(0, queue[at], reason)


@pytest.mark.parametrize("width", [40, 120])
def test_two_answers_are_side_by_side_where_there_is_room(monkeypatch, width):
    file = StringIO()
    file.isatty = lambda: True
    console = Console(file=file, force_terminal=True, width=width)
    monkeypatch.setattr(columns, "stdout", console)
    left, right = "one two three " * 12, "vier fünf " * 4
    columns.show_answers(["A", "B"], tokens(left, right))
    lines = file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    if width < columns.WIDE:
        assert " ".join(file.getvalue().split()) == " ".join(f"A {left} B {right}".split())
    else:
        sides = [[line.split("│")[i] for line in lines] for i in (0, 1)]
        assert [" ".join(" ".join(side).split()) for side in sides] == [
            f"A {left.strip()}",
            f"B {right.strip()}",
        ]
