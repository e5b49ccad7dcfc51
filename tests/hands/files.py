"""Situations of other people: files."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

from hands.case import Case

LONG = "n" * 300
TRAIN = "train largest --model tiny --steps 1 --validation 3 --test 0"
GENERATE = "generate hello --model tiny"


def change_expert(**changes: object) -> Callable[[Path], None]:
    """Put gamma beside alpha and beta: alpha with other metadata; None leaves a key out."""

    def prepare(place: Path) -> None:
        header, data = read_expert(place)
        header["__metadata__"] |= changes
        header["__metadata__"] = {k: v for k, v in header["__metadata__"].items() if v}
        write_expert(place, header, data)

    return prepare


def read_expert(place: Path) -> tuple[dict, bytes]:
    content = (place / "experts" / "alpha.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:end]), content[end:]


def write_expert(place: Path, header: dict, data: bytes) -> None:
    text = json.dumps(header).encode()
    path = place / "experts" / "gamma.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def empty_expert(place: Path) -> None:
    header, _ = read_expert(place)
    write_expert(place, {"__metadata__": header["__metadata__"]}, b"")


def make_folder(*names: str) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        for name in names:
            (place / name).mkdir(parents=True)

    return prepare


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)

    return prepare


def _case(kind: str, words: str, code: int, said: str = "", **more: object) -> Case:
    return Case(kind=kind, words=words, code=code, said=said, **more)  # pyright: ignore


def _odd_metrics(metrics: object) -> Case:
    return _case(
        "a file among others",
        "experts list --experts experts",
        0,
        printed="gamma",
        prepare=change_expert(metrics=json.dumps(metrics)),
    )


def _passed_over(said: str, **changes: object) -> Case:
    return _case(
        "a file among others",
        "experts list --experts experts",
        0,
        f"passed over: experts/gamma.safetensors: not usable, expected a whole mlx-t2-expert "
        f"file of version 1. Copy it again or train it anew: {said}",
        printed="alpha",
        prepare=change_expert(**changes),
    )


def _contradiction(said: str, prepare: Callable[[Path], None]) -> Case:
    words = f"{GENERATE} --expert experts/gamma.safetensors"
    return _case("an expert that contradicts itself", words, 1, said, prepare=prepare)


def _path(words: str, said: str, prepare: Callable[[Path], None] | None = None) -> Case:
    return _case("a path that cannot be", words, 1, said, prepare=prepare)


def _not_a_run(content: bytes, said: str) -> Case:
    return _case(
        "a run that is none",
        f"{TRAIN} --out run --resume",
        1,
        said,
        prepare=write("run/config.json", content),
    )


CASES: list[Case] = [
    _odd_metrics({"best_validation": 0.5}),
    _odd_metrics({"base_validation": None, "best_validation": "high"}),
    _odd_metrics({"base_validation": [0.1], "best_validation": {"a": 1}}),
    _odd_metrics({"base_validation": True, "best_validation": 1e300}),
    _passed_over("metadata metrics: got '[]', expected a JSON object", metrics="[]"),
    _passed_over("metadata config: got", config='{"prompt": "Answer."}'),
    _passed_over("metadata config: got", config='{"prompt": [{"role": "user"}]}'),
    _passed_over("metadata task: missing", task=None),
    _case(
        "a file among others",
        f"{GENERATE} --adapt sum --experts experts --max-tokens 2",
        0,
        "passed over: experts/gamma.safetensors: not usable",
        prepare=change_expert(targets="attention"),
    ),
    _contradiction("no vectors: it would do nothing", empty_expert),
    _contradiction("rank: got 7, but the longest vector has 32", change_expert(rank="7")),
    _contradiction("rank: got 99, but the longest vector has 32", change_expert(rank="99")),
    _contradiction("not among the targets 'attention'", change_expert(targets="attention")),
    _contradiction("targets: got '(', expected mlp,", change_expert(targets="(")),
    _path(f"{GENERATE} --expert {LONG}.safetensors", "File name too long"),
    _path(f"{GENERATE} --expert alpha --experts {LONG}", "File name too long"),
    _path(f"{GENERATE} --expert {'a/' * 3000}b.safetensors", "File name too long"),
    _path(f"{TRAIN} --out {LONG}", "File name too long"),
    _path(f"{TRAIN} --out new --resume --out {LONG}", "File name too long"),
    _path(f"{TRAIN} --init {LONG}.safetensors --out new", "File name too long"),
    _path(f"{TRAIN} -c {LONG}.yaml", "cannot be read as YAML or JSON ("),
    _path(f"eval largest --model tiny --limit 2 --out {LONG}", "File name too long"),
    _path(f"export experts/alpha.safetensors --out {LONG}", "File name too long"),
    _path(f"experts show {LONG}.safetensors", "File name too long"),
    _path(f"experts list --experts {LONG}", "File name too long"),
    _path("experts list --experts taken/experts", "taken/experts: no such folder"),
    _path("experts show taken/a.safetensors", "taken/a.safetensors: no such file"),
    _path(f"{TRAIN} -c experts", "experts: cannot be read as YAML or JSON ("),
    _path(f"{TRAIN} --out experts/alpha.safetensors", "cannot be written (Not a directory)"),
    _not_a_run(b"[]", "run: no run to resume from ("),
    _not_a_run(b"\xff", "run: no run to resume from ("),
    _not_a_run(b"{}", "run: no run to resume from ("),
    _not_a_run(b"[" * 100_000, "run: no run to resume from ("),
    _case(
        "settings of a wrong kind",
        f"{TRAIN} -c a.yaml",
        1,
        "a.yaml: cannot be read as YAML or JSON (",
        prepare=write("a.yaml", b"seed: 2001-13-45"),
    ),
    _case(
        "settings of a wrong kind",
        f"{TRAIN} -c a.yaml",
        1,
        "a.yaml: cannot be read as YAML or JSON (",
        prepare=write("a.yaml", b"[" * 9000),
    ),
    _case(
        "settings of a wrong kind",
        f"{TRAIN} -c a.yaml",
        1,
        "expected float",
        prepare=write("a.yaml", b"lr: &a [1, 2]\nkl: [*a, *a]"),
    ),
]
