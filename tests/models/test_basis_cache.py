"""Bases on disk outlive processes that are killed, run at once, or find what others damaged."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from helpers import random_scales, tiny_network
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlx_lm.models import llama

from mlx_t2.errors import FileError
from mlx_t2.models import SVFModel
from mlx_t2.svf import BasisCache, Recipe, decompose_each, decompose_weight, weight_key

TOKENS = mx.array([[3, 1, 4, 1, 5, 9, 2, 6]])


def wide_network() -> llama.Model:
    """A llama of 21 weights, a few milliseconds each."""
    return tiny_network(layers=3, hidden=128)


CHILD = f"""
import sys
import mlx_t2
import mlx.core as mx
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from helpers import tiny_network
from mlx_t2.models import SVFModel
from mlx_t2.svf import Recipe
exec(sys.argv[1])
model = SVFModel("wide", tiny_network(layers=3, hidden=128), None)
print("ready", flush=True)
sys.stdin.readline()
for done in model.decompose(Recipe(targets="all")):
    print(done.cached, flush=True)
"""


DIES_HALFWAY_THROUGH_THE_NINTH_FILE = """
import os, signal
save, written = mx.save_safetensors, []
def half(path, *rest):
    save(path, *rest)
    written.append(path)
    if len(written) == 9:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
mx.save_safetensors = half
"""


@contextmanager
def child(folder: Path, but: str = ""):
    """A process that will decompose the wide network into `folder` when it is told to."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, but],
        env=os.environ | {"MLX_T2_CACHE": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def begin(process) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def run(folder: Path) -> tuple[SVFModel, list[bool]]:
    """The wide network, decomposed in this process, and which of its bases were there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_T2_CACHE", str(folder))
        model = SVFModel("wide", wide_network(), None)
        return model, [done.cached for done in model.decompose(Recipe(targets="all"))]


def outcome(model: SVFModel) -> mx.array:
    with model.using(random_scales(model.shapes)):
        return model.network(TOKENS)


def files(folder: Path) -> dict[str, bytes]:
    """Whatever lies in the cache, temporary or not."""
    return {path.name: path.read_bytes() for path in (folder / "bases").glob("*")}


def is_temporary(name: str) -> bool:
    return name.startswith(".")


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    """The files, and the logits under some scales, of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("lone")
    model, cached = run(folder)
    assert cached == [False] * 21
    assert len(files(folder)) == 21
    return files(folder), outcome(model)


def test_two_processes_at_once_leave_the_files_of_one(lone, tmp_path):
    with child(tmp_path) as one, child(tmp_path) as other:
        begin(one)
        begin(other)
        reports = [process.stdout.read().split() for process in (one, other)]
        assert (one.wait(), other.wait()) == (0, 0)
    assert [len(report) for report in reports] == [21, 21]
    assert sum(report.count("False") for report in reports) >= 21
    assert files(tmp_path) == lone[0]


def goes_on(folder: Path, lone) -> int:
    """How many files a stopped process has left, once the next run has gone on from there."""
    expected, logits = lone
    whole = {n: content for n, content in files(folder).items() if not is_temporary(n)}
    assert whole.items() <= expected.items()
    model, cached = run(folder)
    assert cached.count(True) == len(whole)
    assert files(folder) == expected
    assert mx.array_equal(outcome(model), logits).item()
    return len(whole)


def test_a_process_killed_halfway_through_a_file_has_not_written_it(lone, tmp_path):
    with child(tmp_path, DIES_HALFWAY_THROUGH_THE_NINTH_FILE) as process:
        begin(process)
        assert process.wait() == -signal.SIGKILL
    assert [is_temporary(name) for name in files(tmp_path)].count(True) == 1
    assert goes_on(tmp_path, lone) == 8


def killed_at(seed: int, folder: Path) -> None:
    """Kill a decomposing process after some weight and up to 20 ms."""
    rng = random.Random(seed)
    with child(folder) as process:
        begin(process)
        for _ in range(rng.randrange(18)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))
        process.kill()  # SIGKILL: no handler runs


def assert_kills_are_survived(seeds, lone, tmp_path) -> None:
    stopped = 0
    for seed in seeds:
        killed_at(seed, tmp_path / str(seed))
        stopped += goes_on(tmp_path / str(seed), lone) < 21
    assert stopped >= len(seeds) / 2


def test_whenever_a_process_is_killed_its_files_are_whole_and_the_next_one_goes_on(
    lone, tmp_path
):
    assert_kills_are_survived(range(4), lone, tmp_path)


@pytest.mark.slow
def test_at_twenty_other_moments_too(lone, tmp_path):
    assert_kills_are_survived(range(100, 120), lone, tmp_path)


# One weight


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A layer, the cache that has its basis, and the file's bytes."""
    layer = nn.Linear(12, 8, bias=False)
    layer.weight = mx.random.normal((8, 12), key=mx.random.key(0))
    cache = BasisCache(tmp_path_factory.mktemp("kept"))
    assert found(layer, cache).cached is False
    return layer, cache, cache.path(weight_key(layer)).read_bytes()


def found(layer, cache):
    (done,) = decompose_each({"layer": layer}, lambda path: weight_key(layer), cache)
    mx.eval(done.basis.q.parts, done.basis.s)
    return done


def assert_computed_again(kept, content: bytes) -> None:
    layer, cache, whole = kept
    path = cache.path(weight_key(layer))
    path.write_bytes(content)
    done = found(layer, cache)
    assert done.cached is False
    assert path.read_bytes() == whole
    again = found(layer, cache)
    assert again.cached is True
    assert mx.array_equal(again.basis.q.dense(), done.basis.q.dense()).item()
    assert list(cache.folder.iterdir()) == [path]


def with_header(text: bytes, whole: bytes = b"") -> bytes:
    """A file of that header and the arrays of another."""
    old = int.from_bytes(whole[:8], "little")
    return len(text).to_bytes(8, "little") + text + whole[8 + old :]


properties = settings(max_examples=40, deadline=None, derandomize=True)


@properties
@given(st.floats(0, 1, exclude_max=True))
@example(0.0)
def test_a_file_cut_anywhere_is_computed_again(kept, share):
    assert_computed_again(kept, kept[2][: int(share * len(kept[2]))])


@properties
@given(st.binary(min_size=1, max_size=100))
def test_a_file_with_more_at_its_end_is_computed_again(kept, more):
    assert_computed_again(kept, kept[2] + more)


@properties
@given(st.binary(max_size=400) | st.binary(max_size=100).map(with_header))
@example(bytes(400))
@example(b"\xff" * 400)
@example(with_header(b"{}"))
@example(with_header(b'{"q":{}}'))
@example(with_header(b'{"__metadata__":{"side":"left"}}'))
@example(with_header(b"[" * 100_000))
def test_a_file_of_anything_is_computed_again(kept, content):
    assert_computed_again(kept, content)


@pytest.mark.parametrize(
    ("was", "now"), [(b'"s"', b'"t"'), (b'"side"', b'"edge"'), (b"F32", b"F33")]
)
def test_a_header_with_a_word_missing_is_computed_again(kept, was, now):
    assert_computed_again(kept, kept[2].replace(was, now))


@pytest.mark.parametrize(
    "header", [b"[]", b"3", b"null", b'{"q":3}', b'{"q":{"data_offsets":"ab"}}']
)
def test_a_header_of_another_form_is_computed_again(kept, header):
    assert_computed_again(kept, with_header(header))


@pytest.mark.parametrize(("was", "now"), [(b'"q"', b'"p"'), (b'"left"', b'"lefu"')])
def test_a_header_with_a_wrong_word_is_computed_again(kept, was, now):
    assert_computed_again(kept, kept[2].replace(was, now))


def test_arrays_of_other_shapes_than_the_header_says_are_computed_again(kept):
    whole = kept[2]
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    header["q"]["shape"] = [9, 9]
    assert_computed_again(kept, with_header(json.dumps(header).encode(), whole))


def test_only_what_dead_processes_left_is_swept(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = {
        f".{dead.pid}-0a1b2c3d.safetensors": False,
        ".noprocess-0a1b2c3d.safetensors": False,
        f".{os.getpid()}-0a1b2c3d.safetensors": True,
        f".{os.getppid()}-0a1b2c3d.safetensors": True,
        f"{dead.pid}-full-1.safetensors": True,
        f".{dead.pid}-notes.txt": True,
    }
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    BasisCache(tmp_path).sweep()
    assert {path.name for path in tmp_path.iterdir()} == {
        n for n, stays in names.items() if stays
    }


def test_sweeping_a_folder_that_is_not_there_makes_none(tmp_path):
    BasisCache(tmp_path / "nowhere").sweep()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_basis_do_not_take_each_others_file(tmp_path, monkeypatch):
    cache, basis = BasisCache(tmp_path), decompose_weight(mx.ones((3, 4)))
    replace = os.replace

    def overtaken(source, target):
        monkeypatch.setattr("mlx_t2.files.os.replace", replace)
        with monkeypatch.context() as patch:
            patch.setattr("mlx_t2.files.os.getpid", lambda: 1)
            cache.write("key", basis)
        replace(source, target)

    monkeypatch.setattr("mlx_t2.files.os.replace", overtaken)
    cache.write("key", basis)
    assert list(tmp_path.iterdir()) == [cache.path("key")]
    assert mx.array_equal(cache.read("key").q.dense(), basis.q.dense()).item()


def test_a_write_that_fails_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlx_t2.files.os.replace", full)
    with pytest.raises(FileError, match=r"No space left.*Set MLX_T2_CACHE"):
        BasisCache(tmp_path).write("key", decompose_weight(mx.ones((3, 4))))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(48, 32), (32, 48), (3, 32, 48)])
def test_a_basis_is_read_as_it_was_written(shape, tmp_path):
    basis = decompose_weight(mx.random.normal(shape, key=mx.random.key(0)))
    cache = BasisCache(tmp_path)
    assert cache.read("key") is None
    cache.write("key", basis)
    read = cache.read("key")
    assert (read.side, len(read.q.parts)) == (basis.side, 1)
    for got, expected in zip((*read.q.parts, read.s), (*basis.q.parts, basis.s), strict=True):
        assert got.dtype == expected.dtype == mx.float32
        assert mx.array_equal(got, expected).item()


def test_bases_computed_in_different_ways_lie_in_different_files(tmp_path):
    ways = [
        BasisCache(tmp_path, rank, precision)
        for rank in (None, 8, 16, 32)
        for precision in ("float64", "float32")
    ]
    assert len({way.path("key") for way in ways}) == len(ways)
