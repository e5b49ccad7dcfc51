"""Thousands of damaged files: each is refused by a T2Error, or could have been saved.

A mutation is drawn from its number, so that a failure is found again by the number alone. A few
hundred in every run of the tests, ten thousand in `make slow`.
"""

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from toy_task import CONFIG, StartHigh, toy_model

from mlx_t2.errors import T2Error
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.routing import HeadRouter
from mlx_t2.tasks import Problem
from mlx_t2.training import TrainConfig, read_config, train
from mlx_t2.training.checkpoint import load_state, pack
from mlx_t2.training.run_folder import RunFolder, read_metrics

FEW, MANY = 80, 2_500
"""Mutations per kind of file; there are four kinds."""

JSON = [
    *("null", "true", "0", "-1", "1.5", "1e999", "NaN", "9" * 5000, '""', "[]", "{}", "[[]]"),
    *('"x"', '{"prompt": 1}', '{"prompt": [{}]}', '{"step": []}', "[" * 50_000, '"\\ud800"'),
]
HEADERS = [0, 1, 7, 2**16, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]
DTYPES = [b'"F16"', b'"I64"', b'"BF16"', b'"U8"', b'"F64"', b'"F8_E4M3"', b'"Q9"', b"32"]


# Mutations of bytes


def flip(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(min(len(data), draw.choice([8, 400, len(data)])))
        changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.randrange(len(data))]


def lengthen(draw: random.Random, data: bytes) -> bytes:
    return data + draw.randbytes(draw.randint(1, 40))


def splice(draw: random.Random, data: bytes) -> bytes:
    start, length, to = (draw.randrange(len(data)) for _ in range(3))
    return data[:to] + data[start : start + length] + data[to:]


def blank(draw: random.Random, data: bytes) -> bytes:
    """NULs where a disk lost a part."""
    start = draw.randrange(len(data))
    length = draw.randint(1, 600)
    return data[:start] + b"\0" * len(data[start : start + length]) + data[start + length :]


def change_length(draw: random.Random, data: bytes) -> bytes:
    return struct.pack("<Q", draw.choice(HEADERS)) + data[8:]


def change_dtype(draw: random.Random, data: bytes) -> bytes:
    return data.replace(b'"F32"', draw.choice(DTYPES), draw.randint(1, 9))


def change_word(draw: random.Random, data: bytes) -> bytes:
    """A header of another word: a number, a name, or JSON of another type in a field."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    entry = header[draw.choice(sorted(header))]
    key = draw.choice(sorted(entry))
    entry[key] = draw.choice([draw.choice(JSON), json.loads(draw.choice(JSON[:5]))])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[end:]


BYTES = [flip, cut, lengthen, splice, blank]
SAFETENSORS = [*BYTES, change_length, change_dtype, change_word, change_word]


def mutate(draw: random.Random, data: bytes, ways: list[Callable]) -> bytes:
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if len(data) > 16:
            try:
                data = draw.choice(ways)(draw, data)
            except (ValueError, AttributeError, TypeError, struct.error):
                continue  # a header that an earlier mutation broke
    return data


# Files


@pytest.fixture(scope="module")
def router() -> HeadRouter:
    from helpers import tiny_network, tiny_tokenizer

    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    examples = [
        Problem(f"{d}/{i}", ({"role": "user", "content": f"{d} {i}"},), "", "", d)
        for d in ("largest", "kind", "other")
        for i in range(3)
    ]
    return HeadRouter.train(model, examples, examples, {"kind": "kind-both"})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that was stopped after step 3 of 6."""
    out = tmp_path_factory.mktemp("fuzz") / "run"
    running = train(toy_model(), StartHigh(), CONFIG, out)
    for _ in range(3):
        next(running)
    running.close()
    return out


def sow(kind: str, count: int):
    return [pytest.param(range(i, i + 20), id=f"{kind}-{i}") for i in range(0, count, 20)]


def counts(kind: str):
    every = sow(kind, MANY)
    few, rest = every[: FEW // 20], every[FEW // 20 :]
    return [*few, *[pytest.param(p.values[0], id=p.id, marks=pytest.mark.slow) for p in rest]]


@pytest.mark.parametrize("numbers", counts("expert"))
def test_a_damaged_expert_is_refused_or_could_have_been_saved(run, tmp_path, numbers):
    whole = (run / "expert.safetensors").read_bytes()
    path = tmp_path / "a.safetensors"
    for number in numbers:
        path.write_bytes(mutate(random.Random(f"expert {number}"), whole, SAFETENSORS))
        before = path.read_bytes()
        try:
            expert = Expert.load(path)
        except T2Error:
            continue
        finally:
            assert path.read_bytes() == before
        expert.save(tmp_path / "b.safetensors")
        again = Expert.load(tmp_path / "b.safetensors")
        assert again.to_bytes() == expert.to_bytes()
        assert expert.scales
        assert all(np.isfinite(np.array(z)).all() for z in expert.scales.values())
        assert all(type(text) is str for m in expert.prompt for text in m.values())


@pytest.mark.parametrize("numbers", counts("router"))
def test_a_damaged_router_is_refused_or_gives_probabilities(router, tmp_path, numbers):
    path = tmp_path / "router.safetensors"
    router.save(path)
    whole = path.read_bytes()
    asked = [[{"role": "user", "content": "kind 1"}]]
    for number in numbers:
        path.write_bytes(mutate(random.Random(f"router {number}"), whole, SAFETENSORS))
        try:
            found = HeadRouter.load(path, router.model)
        except T2Error:
            continue
        assert 0 <= found.threshold <= 1
        posterior = found.posterior(asked)
        assert posterior.shape == (1, len(found.labels))
        assert mx.all(mx.isfinite(posterior)).item()


@pytest.mark.parametrize("numbers", counts("run"))
def test_a_damaged_run_is_refused_or_goes_on_and_nothing_is_lost(run, tmp_path, numbers):
    for number in numbers:
        draw = random.Random(f"run {number}")
        out = Path(shutil.copytree(run, tmp_path / str(number)))
        files = [path for path in out.rglob("*") if path.is_file() and path.name != ".lock"]
        path = draw.choice(sorted(files))
        is_tensors = path.suffix == ".safetensors"
        path.write_bytes(mutate(draw, path.read_bytes(), SAFETENSORS if is_tensors else BYTES))
        damaged = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
        _go_on(out, run)
        for file, content in damaged.items():
            assert not _lost(file, content), (number, file.name)
        shutil.rmtree(out)


def _go_on(out: Path, run: Path) -> None:
    """Do what a resumed training does before its first step."""
    try:
        config = read_config({}, None, out)
        assert type(config) is TrainConfig
        folder = RunFolder(out)
        state, _ = folder.newest()
        whole = run / "checkpoint" / f"step-{state.step:06d}.safetensors"
        assert pack(state) == pack(load_state(whole))  # a digest notices all else
        folder.forget_after(state.step)
    except T2Error:
        pass
    steps = [entry["step"] for entry in read_metrics(out)]
    assert steps == sorted(set(steps))


def _lost(file: Path, content: bytes) -> list[bytes]:
    """The lines that are neither where they were nor in a copy beside it."""
    copies = sorted(file.parent.glob(f"{file.name}.set-aside-*"))
    there = b"\n".join(path.read_bytes() for path in [file, *copies]).split(b"\n")
    return [line for line in content.split(b"\n") if line.strip() and line not in there]


SETTINGS = json.dumps(vars(CONFIG), indent=1).encode()
WORDS = [b"!!timestamp x", b"!!int ''", b"!!float x", b"!!bool x", b"&a [*a]", b"2001-13-45"]


def change_value(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    place = draw.randrange(len(lines))
    key = lines[place].split(b":")[0]
    lines[place] = key + b": " + draw.choice([*WORDS, *(w.encode() for w in JSON)]) + b","
    return b"\n".join(lines)


@pytest.mark.parametrize("numbers", counts("settings"))
def test_damaged_settings_are_refused_or_in_range(tmp_path, numbers):
    path = tmp_path / "a.yaml"
    for number in numbers:
        draw = random.Random(f"settings {number}")
        path.write_bytes(mutate(draw, SETTINGS, [*BYTES, change_value, change_value]))
        try:
            config = read_config({}, path)
        except T2Error:
            continue
        assert TrainConfig(**vars(config)) == config
        json.dumps(vars(config), allow_nan=False)
