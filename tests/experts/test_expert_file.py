"""The expert file: what is saved is loaded, and what is not whole is refused in one error."""

import errno
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

import mlx_t2
from mlx_t2.errors import ConfigError, ExpertFileError, FileError, ShapeError
from mlx_t2.experts import Expert
from mlx_t2.experts.file import encode

METADATA = {
    "format": "mlx-t2-expert",
    "format_version": "1",
    "base_model": "tiny",
    "base_fingerprint": "ab12",
    "targets": "mlp",
    "rank": "full",
    "task": "largest",
    "seed": "0",
    "config": "{}",
    "metrics": "{}",
}


def assert_refused_or_sound(path: Path) -> None:
    """A whole expert of finite scales, or an ExpertFileError; whatever else is raised fails the
    test.
    """
    try:
        expert = Expert.load(path)
    except ExpertFileError:
        return
    assert expert.scales
    for z in expert.scales.values():
        assert z.dtype == mx.float32
        assert mx.isfinite(z).all().item()
    path.write_bytes(expert.to_bytes())
    assert Expert.load(path).digest == expert.digest


# Round trip


@pytest.mark.parametrize("seed", range(3))
def test_saving_loading_and_saving_again_gives_the_same_bytes(make_expert, tmp_path, seed):
    make_expert(seed).save(tmp_path / "a.safetensors")
    Expert.load(tmp_path / "a.safetensors").save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (
        tmp_path / "b.safetensors"
    ).read_bytes()


def test_an_expert_that_acts_on_the_answer_says_so_and_one_that_acts_on_all_says_nothing(
    make_expert, tmp_path
):
    path = tmp_path / "a.safetensors"
    for acts_on, written in (("answer", "answer"), ("all", None)):
        make_expert(acts_on=acts_on).save(path)
        assert Expert.load(path).acts_on == acts_on
        with safe_open(path, "numpy") as file:
            assert file.metadata().get("acts_on") == written


def test_what_an_expert_acts_on_is_one_of_two(make_expert, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a.up_proj.z": np.ones(2, np.float32)}, path, METADATA | {"acts_on": "question"})
    expected = "acts_on: got 'question', expected 'all' or 'answer'"
    with pytest.raises(ExpertFileError, match=f"metadata {expected}"):
        Expert.load(path)


@pytest.mark.whole_runs  # the checker of types would refuse it first
def test_an_expert_that_acts_on_something_else_is_not_made(make_expert):
    with pytest.raises(
        ConfigError, match="'expert-0': acts_on: got 'question', expected 'all'"
    ):
        make_expert(acts_on="question")


def test_the_order_of_the_scales_does_not_change_the_bytes(make_expert):
    expert = make_expert()
    turned = make_expert(scales=dict(reversed(expert.scales.items())))
    assert turned.to_bytes() == expert.to_bytes()


def test_mlx_reads_the_file_too(make_expert, tmp_path):
    expert = make_expert()
    expert.save(tmp_path / "a.safetensors")
    arrays = mx.load(str(tmp_path / "a.safetensors"))
    assert arrays.keys() == {f"{path}.z" for path in expert.scales}
    assert all(mx.array_equal(arrays[f"{path}.z"], z) for path, z in expert.scales.items())


def test_loading_gives_back_every_field(make_expert, tmp_path):
    expert = make_expert(3)
    expert.save(tmp_path / "expert-3.safetensors")
    loaded = Expert.load(tmp_path / "expert-3.safetensors")
    assert vars(loaded) | {"scales": None} == vars(expert) | {"scales": None}
    assert loaded.scales.keys() == expert.scales.keys()
    assert all(mx.array_equal(loaded.scales[p], z) for p, z in expert.scales.items())


def test_the_file_is_the_one_that_the_documentation_describes(make_expert, tmp_path):
    path = tmp_path / "a.safetensors"
    make_expert(0).save(path)
    with safe_open(path, "numpy") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert names == {
        f"model.layers.0.mlp.{name}.z" for name in ("up_proj", "down_proj", "switch")
    }
    assert metadata.keys() == METADATA.keys()
    assert json.loads(metadata["config"]) == {"lr": 5e-3, "steps": 20}
    assert (metadata["format"], metadata["format_version"]) == ("mlx-t2-expert", "1")


@pytest.mark.parametrize(("rank", "text"), [(None, "full"), (7, "7")])
def test_the_rank_is_a_number_in_python_and_text_in_the_file(make_expert, tmp_path, rank, text):
    make_expert(rank=rank).save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "numpy") as file:
        assert file.metadata()["rank"] == text
    assert Expert.load(tmp_path / "a.safetensors").rank == rank


def test_an_expert_that_changes_nothing_can_be_kept(make_expert, tmp_path):
    ones = {path: mx.ones(z.shape) for path, z in make_expert().scales.items()}
    make_expert(scales=ones).save(tmp_path / "ones.safetensors")
    assert Expert.load(tmp_path / "ones.safetensors").scales.keys() == ones.keys()


CONTRADICTIONS = [  # fields, what is said of them
    ({"scales": {}}, "no vectors: it would do nothing"),
    ({"rank": 8}, "rank: got 8, but the longest vector has 7 numbers"),
    ({"rank": 6}, "rank: got 6, but the longest vector has 7 numbers"),
    ({"rank": 10**8}, "but the longest vector has 7 numbers"),
    ({"targets": "attention"}, "up_proj.z: not among the targets 'attention'"),
    ({"targets": "layers.1"}, "up_proj.z: not among the targets 'layers.1'"),
    ({"targets": "("}, "targets: got '(', expected mlp, attention, all or a regular"),
]


@pytest.mark.parametrize(("changes", "said"), CONTRADICTIONS)
def test_vectors_that_contradict_the_rest_are_refused_everywhere(
    make_expert, tmp_path, changes, said
):
    expert = make_expert(**changes)
    with pytest.raises(ShapeError, match=re.escape(said)):
        expert.save(tmp_path / "a.safetensors")
    shapes = {path: z.shape for path, z in expert.scales.items()}
    with pytest.raises(ExpertFileError, match=re.escape(said)):
        expert.check("tiny", expert.base_fingerprint, shapes)
    (tmp_path / "a.safetensors").write_bytes(encode(expert.scales, vars(expert)))
    with pytest.raises(ExpertFileError, match=re.escape(said)):
        Expert.load(tmp_path / "a.safetensors")


ODD_PROMPTS = [
    *("Answer.", 7, {"role": "system"}, ["Answer."], [None], [[]], [{}], [{"role": "user"}]),
    *([{"role": "user", "content": None}], [{"role": 1, "content": "a"}]),
    *([{"role": "user", "content": ["a"]}], [{"role": "user", "content": "\ud800"}]),
    [{"role": "user", "content": "a", "name": "b"}],
]


@pytest.mark.parametrize("prompt", ODD_PROMPTS)
def test_a_prompt_is_a_list_of_messages(make_expert, tmp_path, prompt):
    with pytest.raises(ConfigError, match="expert 'new': config: expected a prompt that is"):
        make_expert(name="new", config={"prompt": prompt})
    path = tmp_path / "a.safetensors"
    path.write_bytes(
        encode(make_expert().scales, vars(make_expert()) | {"config": {"prompt": prompt}})
    )
    with pytest.raises(ExpertFileError, match=r"metadata config: got .*, expected a prompt"):
        Expert.load(path)


@pytest.mark.parametrize("key", ["base_model", "base_fingerprint", "targets", "task"])
@pytest.mark.parametrize("text", ["a\x1b[2J", "a\nb", "\0", "\u202egnp"])
def test_text_that_cannot_be_printed_is_refused(make_expert, tmp_path, key, text):
    path = tmp_path / "a.safetensors"
    path.write_bytes(encode(make_expert().scales, vars(make_expert()) | {key: text}))
    with pytest.raises(ExpertFileError, match=f"{key}: got .*, expected text that can"):
        Expert.load(path)


def test_the_file_gives_the_name_and_a_run_folder_gives_it_to_its_expert(make_expert, tmp_path):
    for place in ("kind.safetensors", "my-run/expert.safetensors"):
        make_expert().save(tmp_path / place)
    assert Expert.load(tmp_path / "kind.safetensors").name == "kind"
    assert Expert.load(tmp_path / "my-run/expert.safetensors").name == "my-run"


# Refusing


def test_one_error_lists_everything_wrong(tmp_path):
    path = tmp_path / "bad.safetensors"
    tensors = {
        "a.z": np.array([1, np.nan, np.inf], np.float32),
        "b.z": np.ones(3, np.float16),
        "c.z": np.ones((2, 2, 2), np.float32),
        "d.weight": np.ones(2, np.float32),
        "e.z": np.ones(2, np.float32),
        "f.z": np.ones((0, 2), np.int64),
        "\x1b[2Jg.z": np.ones(2, np.float32),
        ".z": np.ones(2, np.float32),
    }
    changes = {"format": "pt", "format_version": "2", "seed": "x", "rank": "0", "config": "{"}
    metadata = METADATA | changes | {"metrics": "[]"}
    del metadata["task"]
    save_file(tensors, path, metadata)
    with pytest.raises(ExpertFileError) as caught:
        Expert.load(path)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(
        f"{path}: not usable, expected a whole mlx-t2-expert file of version 1"
    )
    assert set(lines) == {
        "metadata format: got 'pt', expected 'mlx-t2-expert'",
        "metadata format_version: got '2', expected '1'",
        "metadata task: missing",
        "metadata seed: got 'x', expected a whole number",
        "metadata rank: got '0', expected 'full' or a number above 0",
        "metadata config: got '{', expected a JSON object (Expecting property name enclosed "
        "in double quotes: line 1 column 2 (char 1))",
        "metadata metrics: got '[]', expected a JSON object",
        "a.z: 2 of 3 numbers are NaN or infinite",
        "b.z: got F16, expected float32",
        "c.z: got shape (2, 2, 2), expected (rank,) or (experts, rank)",
        "'d.weight': unknown tensor, expected '<module path>.z'",
        "f.z: got I64, expected float32; got shape (0, 2), expected (rank,) or (experts, rank)",
        r"'\x1b[2Jg.z': unknown tensor, expected '<module path>.z'",
        "'.z': unknown tensor, expected '<module path>.z'",
    }
    assert len(lines) == 14


@pytest.mark.parametrize("key", METADATA)
def test_every_metadata_key_is_needed(tmp_path, key):
    path = tmp_path / "bad.safetensors"
    save_file({}, path, {k: v for k, v in METADATA.items() if k != key})
    with pytest.raises(ExpertFileError, match=f"metadata {key}: missing$"):
        Expert.load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", '{"a": NaN}'),
        ("config", '{"a": 1e999}'),
        ("metrics", "[" * 100_000),
        ("metrics", '{"a": ' * 100_000 + "1" + "}" * 100_000),
        ("metrics", "9" * 5000),
        ("seed", "9" * 5000),
        ("seed", "1.5"),
        ("rank", "9" * 5000),
        ("rank", "-1"),
        ("rank", ""),
    ],
)
def test_odd_metadata_values_are_refused_with_their_key(tmp_path, key, value):
    path = tmp_path / "bad.safetensors"
    save_file({}, path, METADATA | {key: value})
    with pytest.raises(ExpertFileError, match=f"metadata {key}: got .*, expected"):
        Expert.load(path)


def test_what_is_no_file_is_refused_by_name(tmp_path):
    with pytest.raises(ExpertFileError, match=r"nowhere\.safetensors: no such file, expected"):
        Expert.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ExpertFileError, match=r": a folder, expected an expert file"):
        Expert.load(tmp_path)
    with pytest.raises(ExpertFileError, match=r"expected an expert file|cannot be read"):
        Expert.load(tmp_path / ("x" * 300))
    with pytest.raises(ExpertFileError, match="expected an expert file"):
        Expert.load("a\0b.safetensors")


def test_a_file_cut_off_anywhere_is_refused(make_expert, tmp_path):
    path = tmp_path / "cut.safetensors"
    content = make_expert().to_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ExpertFileError, match="cannot be read as safetensors"):
            Expert.load(path)


def test_a_file_longer_than_it_says_is_refused(make_expert, tmp_path):
    (tmp_path / "long.safetensors").write_bytes(make_expert().to_bytes() + b"more")
    with pytest.raises(ExpertFileError, match="cannot be read as safetensors"):
        Expert.load(tmp_path / "long.safetensors")


def test_changed_bytes_in_the_header_are_refused_or_harmless(make_expert, tmp_path):
    path = tmp_path / "flipped.safetensors"
    content = make_expert().to_bytes()
    draw = np.random.default_rng(0)
    end = 8 + struct.unpack("<Q", content[:8])[0]
    for place in [*range(8), *draw.integers(8, end, 600)]:
        changed = bytearray(content)
        changed[place] ^= int(draw.integers(1, 256))
        path.write_bytes(changed)
        assert_refused_or_sound(path)


anywhere = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@anywhere
@given(content=st.binary(max_size=400))
def test_any_bytes_are_refused(tmp_path, content):
    (tmp_path / "any.safetensors").write_bytes(content)
    with pytest.raises(ExpertFileError):
        Expert.load(tmp_path / "any.safetensors")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "F8_E4M3", "F4", "Q1"]),
        "shape": st.lists(st.sampled_from([0, 1, 2, 2**62, 2**64 - 1, -1]), max_size=4),
        "data_offsets": st.lists(st.sampled_from([0, 4, 8, 16, 2**63]), min_size=2, max_size=2),
    }
)
metadata_values = st.dictionaries(st.sampled_from(sorted(METADATA)), st.text(max_size=9))


@anywhere
@given(
    changes=metadata_values,
    entries=st.dictionaries(st.sampled_from(["a.z", ".z", "b", ""]), tensors | json_values),
    data=st.binary(max_size=16),
)
def test_any_header_is_refused_or_harmless(tmp_path, changes, entries, data):
    header = json.dumps({"__metadata__": METADATA | changes, **entries}).encode()
    path = tmp_path / "any.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    assert_refused_or_sound(path)


@pytest.mark.parametrize(
    ("z", "fault"),
    [
        (mx.ones((3,), dtype=mx.float16), "a.z: got float16, expected float32"),
        (mx.ones((2, 2, 2)), r"a.z: got shape \(2, 2, 2\)"),
        (mx.array(1.0), r"a.z: got shape \(\)"),
        (mx.array([1.0, float("nan")]), "a.z: 1 of 2 numbers are NaN or infinite"),
    ],
)
def test_an_expert_is_not_made_of_unusable_scales(make_expert, z, fault):
    with pytest.raises(ShapeError, match=f"(?s)expert 'new': unusable scales.*{fault}"):
        make_expert(name="new", scales={"a": z})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", 0),
        ("config", {"out": Path("runs")}),
        ("config", {"lr": float("nan")}),
        ("metrics", {"a": float("inf")}),
    ],
)
def test_an_expert_is_not_made_of_what_its_file_cannot_hold(make_expert, field, value):
    with pytest.raises(ConfigError, match=f"expert 'new': {field}"):
        make_expert(name="new", **{field: value})


# Writing


def full(*_):
    """A disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    make_expert, tmp_path, monkeypatch, call
):
    path = tmp_path / "a.safetensors"
    make_expert(0).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, call, full)
    with pytest.raises(FileError, match=r"a\.safetensors: cannot be written \(No space"):
        make_expert(1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_place_gives_one_line_and_nothing_is_left(make_expert, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="cannot be written") as caught:
        make_expert().save(tmp_path / "file" / "a.safetensors")
    assert "\n" not in str(caught.value)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(FileError, match="cannot be written"):
        make_expert().save(tmp_path / "folder.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.safetensors"]


KILLED = """
import os, signal
from mlx_t2.experts import Expert
from mlx_t2.experts.file import encode
expert = Expert.load("new.safetensors")
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
expert.save("a.safetensors")
"""


def test_a_kill_in_the_middle_leaves_the_old_file(make_expert, tmp_path):
    path = tmp_path / "a.safetensors"
    make_expert(0).save(path)
    make_expert(1).save(tmp_path / "new.safetensors")
    root = Path(mlx_t2.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert child.returncode == -9
    assert path.read_bytes() == make_expert(0).to_bytes()


def test_a_file_says_what_its_expert_is_for_or_nothing(tmp_path, make_expert):
    path = tmp_path / "a.safetensors"
    plain = make_expert().to_bytes()
    assert b"description" not in plain
    assert b"examples" not in plain
    made = make_expert(description="the largest of three", examples=("1, 2, 3", "ä 7"))
    made.save(path)
    read = Expert.load(path)
    assert (read.description, read.examples) == (made.description, made.examples)
    assert read.to_bytes() == made.to_bytes()
    path.write_bytes(plain)
    assert (Expert.load(path).description, Expert.load(path).examples) == ("", ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"examples": "[\\"1, 2, 3\\"]"', '"examples": "[1]"', "expected a list of texts"),
        ('"examples": "[\\"1, 2, 3\\"]"', '"examples": "nonsense"', "expected a JSON list"),
        ('"description": "numbers"', '"description": "a\\nb"', "text that can be printed"),
    ],
)
def test_what_a_file_says_has_to_be_text(tmp_path, make_expert, old, new, message):
    path = tmp_path / "a.safetensors"
    content = make_expert(description="numbers", examples=("1, 2, 3",)).to_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size].decode(), content[8 + size :]
    assert old in header
    changed = header.replace(old, new).encode()
    changed += b" " * (-len(changed) % 8)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + data)
    with pytest.raises(ExpertFileError, match=message):
        Expert.load(path)
