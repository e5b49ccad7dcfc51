"""Situations of other people: shell."""

import json
from collections.abc import Callable
from pathlib import Path

from hands.case import Case

GENERATE = "generate hi --model tiny --max-tokens 3"
ALONE = "generate --model tiny --max-tokens 3"


def say(text: str) -> Callable[[Path], None]:
    """Let the model's usual token be written as `text`."""

    def prepare(folder: Path) -> None:
        file = folder / "tiny" / "tokenizer.json"
        tokenizer = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary[text] = vocabulary.pop("n")
        file.write_text(json.dumps(tokenizer), encoding="utf-8")

    return prepare


def _one_more_line(folder: Path) -> None:
    (folder / "file").write_text("x")


CASES: list[Case] = [
    # A pipe has the model's text, byte for byte
    Case(kind="text out", words=GENERATE, code=0, printed="\t\t\t\n", prepare=say("\t")),
    Case(kind="text out", words=GENERATE, code=0, printed="\r\n\r\n", prepare=say("\r\n")),
    Case(kind="text out", words=GENERATE, code=0, printed="\r\r\r\n", prepare=say("\r")),
    Case(kind="text out", words=GENERATE, code=0, printed="\x1bc\x1bc", prepare=say("\x1bc")),
    Case(kind="text out", words=GENERATE, code=0, printed="\0\0\0\n", prepare=say("\0")),
    Case(kind="text out", words=GENERATE, code=0, printed="word " * 3, prepare=say("word ")),
    Case(kind="text out", words=GENERATE, code=0, printed="[/b][/b]", prepare=say("[/b]")),
    Case(
        kind="text out",
        words=GENERATE,
        code=0,
        printed="\a\a\a\n",
        prepare=say("\a"),
        environment={"FORCE_COLOR": "1"},
    ),
    *(
        Case(
            kind="no UTF-8 out",
            words=words,
            code=0,
            printed=printed,
            prepare=say("é→"),
            environment={"PYTHONIOENCODING": encoding},
        )
        for words, encoding, printed in (
            (GENERATE, "ascii", "??????\n"),
            (GENERATE, "latin-1:strict", "?\n"),
            (f"{GENERATE} --json", "ascii", r'"text": "\u00e9\u2192\u00e9'),
            (f"{GENERATE} --json", "latin-1", r'"text": "\u00e9\u2192\u00e9'),
            (f"{GENERATE} --json", "utf-8", '"text": "é→é'),
            ("tasks", "ascii", "largest"),
        )
    ),
    Case(
        kind="no UTF-8 out",
        words=f"{ALONE} --json",
        code=0,
        printed='"prompt_tokens": 9,',
        environment={"PYTHONIOENCODING": "ascii"},
        stdin="é\n".encode(),
    ),
    # What comes in is text
    *(
        Case(kind="no UTF-8 in", words=words, code=code, said=said, stdin=stdin)
        for words, stdin, code, said in (
            (
                ALONE,
                b"a\xff",
                1,
                r"input: got b'a\xff', byte 0xff at 1, expected UTF-8",
            ),
            (GENERATE, b"\xfe\xffa\0", 1, r"standard input: got b'\xfe\xffa\x00'"),
            ("generate 'a\udcff' --model tiny", b"", 2, r"argument: got b'a\xff'"),
            (f"{GENERATE} --system '\udce9'", b"", 2, r"argument: got b'\xe9'"),
            ("eval largest --out '\udce9'", b"", 2, r"argument: got b'\xe9'"),
            (
                "chat --model tiny --adapt none --max-tokens 3",
                b"a\xff\nhi\n",
                0,
                r"this line: got b'a\xff'",
            ),
        )
    ),
    *(
        Case(kind="prompt and stdin", words=words, code=code, stdin=stdin, **rest)
        for words, stdin, code, rest in (
            (f"{GENERATE} --json", b"", 0, {"printed": '"prompt_tokens": 10,'}),
            (f"{GENERATE} --json", b" \n", 0, {"printed": '"prompt_tokens": 10,'}),
            (f"{GENERATE} --json", b"bye\n", 0, {"printed": '"prompt_tokens": 15,'}),
            (f"{GENERATE} --json --no-stdin", b"bye", 0, {"printed": '"prompt_tokens": 10,'}),
            (f"{ALONE} --json", b"\xef\xbb\xbfhi\r\n", 0, {"printed": '"prompt_tokens": 10,'}),
            (f"{ALONE} --no-stdin", b"hi", 2, {"said": "--no-stdin: got no question"}),
            (ALONE, b" \n", 2, {"said": "the question is empty"}),
            (ALONE, None, 2, {"said": "the question is empty"}),
        )
    ),
    *(
        Case(kind="a question with a dash", words=words, code=2, said=said)
        for words, said in (
            ("generate '-5 + 3'", 'goes after --: t2 generate -- "-5 + 3"'),
            ("generate '--- what?'", 't2 generate -- "--- what?"'),
            ("generate -x --model tiny", 't2 generate -- "-x"'),
        )
    ),
    Case(
        kind="a question with a dash",
        words="generate --model tiny --max-tokens 3 -- '-5 + 3'",
        code=0,
        printed="\n",
    ),
    # Closed descriptors
    Case(kind="closed stdin", words=GENERATE, code=0, stdin=None),
    Case(kind="closed stdin", words="decompose tiny", code=0, stdin=None),
    Case(kind="closed stdin", words="eval largest --model tiny --limit 1", code=0, stdin=None),
    Case(kind="closed stdin", words="chat --model tiny --adapt none", code=0, stdin=None),
    # Nothing from outside is markup
    *(
        Case(kind="markup", words=words, code=code, said=said)
        for words, code, said in (
            ("generate hi --model '[/x]'", 1, "[/x]: not an id of the hub"),
            (f"{GENERATE} --expert '[/red]'", 1, "[/red]: no such file"),
            (f"{GENERATE} --adapt '[bold]'", 2, "--adapt: got '[bold]'"),
            ("tasks show '[/]'", 1, "[/]: got a file that ends in 'nothing', expected .jsonl"),
            ("experts show '[link=x]y'", 1, "expert '[link=x]y': unknown"),
            ("bench '[/x]'", 2, "got '[/x]', expected one of"),
            ("'[/x]'", 2, "No such command '[/x]'"),
        )
    ),
    Case(kind="markup", words="chat --help", code=0, printed="Longest answer [tokens]."),
    Case(kind="markup", words="train --help", code=0, printed="[GB]"),
    # A folder for temporary files that cannot be used
    *(
        Case(
            kind="TMPDIR",
            words=words,
            code=0,
            prepare=_one_more_line,
            environment={name: value},
        )
        for words, name, value in (
            (GENERATE, "TMPDIR", "/nonexistent"),
            (GENERATE, "TEMP", "file"),
            ("eval expression --model tiny --limit 1", "TMPDIR", "/proc"),
        )
    ),
    Case(kind="version", words="--version", code=0, printed="mlx_t2 0."),
    Case(kind="version", words="experts", code=0, printed="largest"),
    Case(
        kind="version",
        words="--show-completion bash",
        code=0,
        printed="_t2_completion",
        environment={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},  # make's shell is sh
    ),
    *(
        Case(
            kind="empty place", words=f"{words} ''", code=2, said=f"{words.split()[-1]}: got ''"
        )
        for words in (
            "train largest --model tiny --init",
            "train largest --model tiny --out",
            "generate hello --model tiny --experts",
            "decompose tiny --model",
        )
    ),
    *(
        Case(kind="option before a subcommand", words=words, code=2, said="options go after")
        for words in (
            "experts --experts experts list",
            "experts --json list",
            "cache --json clear --yes",
            "tasks --json show largest",
        )
    ),
    *(
        Case(
            kind="folder that is no text",
            words="decompose tiny --json",
            code=1,
            said=f"{name}: got b'",
            environment={name: "/tmp/c\udce9"},
        )
        for name in ("MLX_T2_CACHE", "XDG_CACHE_HOME", "MLX_T2_HOME")
    ),
    Case(
        kind="a question with a dash",
        words="generate --model tiny --max-tokens 2 --5+3",
        code=2,
        said='t2 generate -- "--5+3"',
    ),
    *(
        Case(
            kind="input of another encoding",
            words=words,
            code=1,
            said="\0".join("cannot"),  # the message is in that encoding, too
            stdin=b"h\0i",
            environment={"PYTHONIOENCODING": "utf-16-le"},
        )
        for words in (
            "generate --model tiny --max-tokens 2",
            "generate hello --model tiny --max-tokens 2",
            "chat --model tiny --adapt none --max-tokens 2",
        )
    ),
]
