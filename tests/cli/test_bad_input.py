"""What cannot be done: one clear message, the right exit code, and nothing changed on disk."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from mlx_t2.folders import data_dir
from mlx_t2.models import find_gguf

SETTINGS = {
    "unknown.yaml": "steps: 2\nlearning_rate: 1e-3\n",
    "malformed.yaml": "steps: [2\n",
    "wrong.yaml": "steps: many\nlr: [1]\n",
    "list.yaml": "- steps\n- 2\n",
    "binary.yaml": b"\xff\xfe\x00steps",
}
TRAIN = "train largest --model tiny --out new --steps 1 --validation 3 --test 0"
GENERATE = "generate hello --model tiny"
EVAL = "eval largest --model tiny --limit 2"

CANNOT_BE_DONE = [  # command, what stderr says
    # What was asked for does not exist
    (
        "generate hello --model nobody/nothing",
        "nobody/nothing: it is not on this disk, and the hub cannot be reached",
    ),
    ("generate hello --model ./nowhere", "./nowhere: no such folder, expected an alias"),
    ("generate hello --model taken", "taken: a file, expected the folder of an mlx-lm model"),
    ("decompose run", "run: mlx-lm cannot load it ("),
    ("train nonsense", "task: unknown name 'nonsense', known are largest,"),
    ("tasks show nonsense", "task: unknown name 'nonsense', known are largest,"),
    ("eval nonsense", "task: unknown name 'nonsense', known are largest,"),
    (f"{EVAL} --split nonsense", "largest: unknown split 'nonsense', expected one of"),
    (f"{EVAL} --expert nonsense", "expert 'nonsense': unknown, expected one of: "),
    (f"{GENERATE} --expert ''", "expert '': unknown, expected one of: "),
    (f"{GENERATE} --expert no.safetensors", "no.safetensors: no such file, expected an expert"),
    (
        f"{GENERATE} --expert nonsense --experts nowhere",
        "nowhere: no such folder, expected one with experts",
    ),
    (f"{GENERATE} --adapt sum --experts nowhere", "nowhere: no such folder, expected one with"),
    (f"{GENERATE} --adapt sum", "library: no expert of tiny, expected at least one"),
    (f"{GENERATE} --adapt classifier --experts experts", "router.safetensors: cannot be read"),
    ("chat --model tiny --adapt sum", "library: no expert of tiny, expected at least one"),
    ("experts show nonsense", "expert 'nonsense': unknown, expected one of: "),
    ("export nonsense --out new", "expert 'nonsense': unknown, expected one of: "),
    # Experts that cannot be worn
    (
        "generate hello --model other --expert run/expert.safetensors",
        "expert 'run' (targets 'mlp', rank full): was trained on 'tiny'",
    ),
    ("decompose tiny --basis-bits 7", "basis bits: got 7, expected 32, 16, 8 or 4"),
    (f"{EVAL} --expert foreign.safetensors", "was trained on 'other'"),
    (f"{TRAIN} --model other --init run/expert.safetensors", "was trained on 'tiny'"),
    (f"{EVAL} --expert half.safetensors", "half.safetensors: not usable, expected a whole"),
    (
        f"{EVAL} --expert clipped.safetensors",
        "clipped.safetensors: not usable, expected a whole",
    ),
    (f"{TRAIN} --init half.safetensors", "half.safetensors: not usable, expected a whole"),
    ("experts show half.safetensors", "half.safetensors: not usable, expected a whole"),
    ("export half.safetensors --out new", "half.safetensors: not usable, expected a whole"),
    (f"{GENERATE} --mix alpha=0.5,beta --experts experts", "mix 'alpha=0.5,beta': got 'beta'"),
    (f"{GENERATE} --mix alpha=x --experts experts", "got 'alpha=x', expected NAME=NUMBER"),
    (f"{GENERATE} --mix alpha=1,alpha=1 --experts experts", "got 'alpha' twice"),
    (f"{GENERATE} --mix alpha=1,nonsense=1 --experts experts", "expert 'nonsense': unknown"),
    (f"{GENERATE} --mix ''", "mix '': got '', expected NAME=NUMBER"),
    # Settings
    (f"{TRAIN} --lr 0", "lr: got 0.0, expected more than 0"),
    (f"{TRAIN} --group 1", "group: got 1, expected 2 or more"),
    (f"{TRAIN} --steps 0", "steps: got 0, expected 1 or more"),
    (f"{TRAIN} --targets '('", "targets: got '(', expected mlp, attention, all or a regular"),
    (f"{TRAIN} --targets nothing", "targets: 'nothing' matches no linear layer of the model"),
    (f"{TRAIN} -c unknown.yaml", "unknown.yaml: got learning_rate, expected some of mode,"),
    (f"{TRAIN} -c malformed.yaml", "malformed.yaml: cannot be read as YAML or JSON ("),
    (f"{TRAIN} -c binary.yaml", "binary.yaml: cannot be read as YAML or JSON ("),
    (f"{TRAIN} -c list.yaml", "list.yaml: got list, expected one key per setting"),
    (
        "train largest -c wrong.yaml",
        "wrong.yaml: steps: got 'many', expected int; lr: got [1], expected float",
    ),
    (f"{TRAIN} -c missing.yaml", "missing.yaml: cannot be read as YAML or JSON ([Errno 2]"),
    (f"{TRAIN} --mode grpo", "mode: got 'grpo', expected rloo or reinforce or paper"),
    (f"{TRAIN} --kl-form k3", "kl_form: got 'k3', expected k2 or k1 or paper or reference"),
    (f"{TRAIN} --truncated no", "truncated: got 'no', expected wrong or masked"),
    (f"{TRAIN} --temp 0", "temperature: got 0.0, expected more than 0: greedy"),
    (f"{TRAIN} --rows 0", "rows: got 0, expected 1 or more"),
    (f"{TRAIN} --patience 0", "patience: got 0, expected 1 or more"),
    (f"{TRAIN} --memory-gb 0", "memory_gb: got 0.0, expected more than 0"),
    (
        f"{TRAIN} --memory-gb 1e-6",
        "GB for 1 completion(s) of 6 tokens at once, available are 0.0 GB",
    ),
    (f"{TRAIN} --memory-gb 1e-6 --dry-run", "memory: 0.0 GB for the model and 0.0 GB for 1"),
    (f"{TRAIN} --report-to excel", "report-to: got 'excel', expected some of wandb, swanlab"),
    (f"{TRAIN} --report-to wandb", "report-to: got wandb, which is not installed"),
    # Folders
    (f"{TRAIN} --out taken", "taken: cannot be written ("),
    (f"{TRAIN} --out taken/new", "taken/new: cannot be written ("),
    (f"{TRAIN} --out run", "run: holds a run already; resume it (--resume) or name"),
    ("train largest --model tiny --out new --resume", "new: no run to resume from ("),
    ("train largest --model tiny --out tiny --resume", "tiny: no run to resume from ("),
    (
        "train largest --model tiny --out run --resume --lr 1",
        "run: got lr=1.0 (it has 0.002), but a resumed run keeps its settings",
    ),
    (f"{EVAL} --out taken/answers.jsonl", "taken/answers.jsonl: cannot be written, expected"),
    (f"{EVAL} --out experts", "experts: cannot be written, expected a file"),
    ("export run/expert.safetensors --out taken", "taken/run.safetensors: cannot be written"),
    (
        "export run/expert.safetensors --out half.safetensors",
        "half.safetensors: another file is there, expected none",
    ),
]

WRONG_USAGE = [  # command, what stderr says
    ("decompose tiny --precision half", "expected one of float64, float32"),
    ("bench speed", "expected one of decompose, switch"),
    ("bench switch --model other", "expected a suite that takes another model"),
    ("nonsense", "No such command 'nonsense'"),
    ("tasks nonsense", "No such command 'nonsense'"),
    ("train", "Missing argument"),
    ("tasks --nonsense", "No such option: --nonsense"),
    (f"{TRAIN} --lr fast", "Invalid value for '--lr'"),
    (f"{TRAIN} --rank 0", "Invalid value for '--rank'"),
    (f"{EVAL} --limit 0", "Invalid value for '--limit'"),
    (f"{GENERATE} --temp -1", "Invalid value for '--temp'"),
    (f"{GENERATE} --expert alpha --adapt sum", "--expert and --adapt exclude each other"),
    (f"{EVAL} --expert alpha --mix beta=1", "--expert and --mix exclude each other"),
    (f"{EVAL} --expert '' --mix ''", "--expert and --mix exclude each other"),
    (f"{GENERATE} --adapt nonsense", "--adapt: got 'nonsense', expected one of auto,"),
    ("chat --model tiny --adapt ''", "--adapt: got '', expected one of auto,"),
    ("generate ''", "the question is empty"),
    ("generate - ", "the question is empty"),
    ("export run/expert.safetensors --to gguf --out new", "--to: got 'gguf', expected"),
]


def content(folder: Path) -> dict[str, bytes | None]:
    """Every file with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def furnished(place, trained, experts) -> Path:
    """The place, with damaged experts and settings in it."""
    for name, text in SETTINGS.items():
        (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    whole = (place / "run/expert.safetensors").read_bytes()
    (place / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (place / "clipped.safetensors").write_bytes(whole[:-1])
    return place


@pytest.mark.parametrize(("line", "text"), CANNOT_BE_DONE)
def test_what_cannot_be_done_is_said_and_changes_nothing(t2, furnished, line, text):
    before = content(furnished)
    ran = t2(line)
    assert (ran.code, ran.stdout) == (1, "")
    assert text in ran.said
    phases = (
        "largest: ",
        "loading ",
        "decomposing",
        "probing ",
        "measuring memory",
    )  # before it
    message = [line for line in ran.stderr.splitlines() if not line.startswith(phases)]
    assert len(message) <= 3
    assert "Traceback" not in ran.stderr
    assert content(furnished) == before
    assert not data_dir().exists() or content(data_dir()) == {}


@pytest.mark.parametrize(("line", "text"), WRONG_USAGE)
def test_wrong_usage_is_said_and_changes_nothing(t2, furnished, line, text):
    before = content(furnished)
    ran = t2(line)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.said.startswith("Usage: ")
    assert text in ran.said
    assert content(furnished) == before


# The cache


def test_a_cache_that_cannot_be_written_is_named(t2, furnished):
    before = content(furnished)
    ran = t2("decompose tiny", cache=furnished / "taken" / "cache")
    assert (ran.code, ran.stdout) == (1, "")
    assert "taken/cache/bases/" in ran.said
    assert "cannot be written (Not a directory)" in ran.said
    assert ran.said.endswith("Set MLX_T2_CACHE to another folder")
    assert content(furnished) == before


@pytest.mark.skipif(find_gguf() is None, reason="the default model is not installed")
def test_a_cache_that_cannot_take_the_default_model_is_named(t2, furnished):
    ran = t2("decompose --json", cache=furnished / "taken")
    assert (ran.code, ran.stdout) == (1, "")
    assert "expected room for 130 MB in a writable folder. MLX_T2_CACHE names" in ran.said


@pytest.mark.parametrize("failing", ["saving", "renaming"])
def test_a_full_disk_leaves_nothing_in_the_cache(t2, furnished, tmp_path, monkeypatch, failing):
    def no_room(path, *_):
        Path(path).write_bytes(b"half a fi")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = (mx, "save_safetensors") if failing == "saving" else (os, "replace")
    with monkeypatch.context() as patch:
        patch.setattr(*place, no_room)
        ran = t2(f"{TRAIN} --json", cache=tmp_path)
    assert (ran.code, ran.stdout) == (1, "")
    assert "cannot be written (No space left on device)" in ran.said
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not (furnished / "new").exists()


def test_a_damaged_basis_is_computed_again(t2, tmp_path):
    t2("decompose tiny", cache=tmp_path)
    basis, *_ = whole = content(tmp_path / "bases")
    (tmp_path / "bases" / basis).write_bytes(whole[basis][:100])
    assert t2("decompose tiny --json", cache=tmp_path).result["cached"] == 5
    assert content(tmp_path / "bases") == whole


# Listing


def test_a_damaged_expert_is_passed_over_aloud(t2, furnished, tmp_path):
    for name in ("alpha", "beta"):
        source = furnished / (
            "half.safetensors" if name == "beta" else "experts/alpha.safetensors"
        )
        (tmp_path / f"{name}.safetensors").write_bytes(source.read_bytes())
    ran = t2(f"experts list --experts {tmp_path} --json")
    assert [e["name"] for e in ran.result["experts"]] == ["alpha"]
    assert f"passed over: {tmp_path}/beta.safetensors: not usable" in ran.said


# The program


def test_the_program_itself_exits_with_1_and_one_line():
    code = "from mlx_t2_cli.main import main; main()"
    words = ["tasks", "show", "nonsense", "--json"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("task: unknown name 'nonsense'")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError, "[malloc] Unable to allocate 34359738368 bytes."),
        (RuntimeError, "cudaMallocAsync(&data, size, stream) failed: out of memory"),
        (RuntimeError, "[METAL] Command buffer execution failed: Insufficient Memory (8)"),
        (RuntimeError, "[METAL] (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)"),
        (MemoryError, "cannot grow"),
    ],
)
def test_memory_that_is_not_there_is_said_in_one_line(t2, monkeypatch, error, said):
    def full(*_, **__):
        raise error(f"{said}\nand where")

    monkeypatch.setattr("mlx_t2.tasks.task_names", full)
    ran = t2("tasks")
    assert ran.code == 1
    assert ran.stderr.startswith("memory: none is left for this; take a quantised or")
    assert f"({said})" in " ".join(ran.stderr.split())
    assert "and where" not in ran.stderr


def test_a_bug_is_no_message_but_a_traceback(t2, monkeypatch):
    def broken():
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("mlx_t2.tasks.task_names", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        t2("tasks")
