import dataclasses
import errno
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest

from mlx_t2.errors import CheckpointError, ConfigError, ExpertFileError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel
from mlx_t2.tasks import Problem
from mlx_t2.training import TrainConfig, train
from mlx_t2.training.checkpoint import load_state

CONFIG = TrainConfig(steps=6, prompts=4, group=8, lr=2e-2, eval_every=2, validation=8, test=8)


class HalfTheTokensEnd:
    """A tokenizer whose lower half of the vocabulary ends an answer, so that a random model
    finishes.
    """

    eos_token_ids = frozenset(range(32))

    def apply_chat_template(self, messages, add_generation_prompt):
        return [33, *(32 + ord(c) % 32 for c in messages[-1]["content"])]

    def decode(self, ids, skip_special_tokens):
        return " ".join(map(str, ids))


@dataclass(frozen=True)
class StartHigh:
    """Right: a first token in the upper quarter, as a random model has it every fourth time."""

    name: str = "start-high"
    domain: str = "toy"
    description: str = "start with a high token"
    splits: tuple[str, ...] = ("train", "validation", "test")
    max_tokens: int = 6
    prompt: tuple = ()
    pays: bool = True

    def problems(self, split, n, seed=0):
        return [self._problem(f"{split} {i}") for i in range(n)]

    def step(self, n, seed):
        return [self._problem(f"train {seed} {i}") for i in range(n)]

    def grade(self, attempts):
        return [float(self.pays and int(text.split()[0]) >= 48) for _, text in attempts]

    def _problem(self, text):
        return Problem(f"toy/{text}", ({"role": "user", "content": text},), "", "only", "toy")


@pytest.fixture
def model(tiny_model) -> SVFModel:
    toy = SVFModel("tiny", tiny_model.network, HalfTheTokensEnd())
    for _ in toy.decompose():
        pass
    return toy


def entries(path: Path) -> list[dict]:
    timed = ("seconds",)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in entry.items() if k not in timed} for entry in lines]


def files(folder: Path) -> tuple:
    return (
        entries(folder / "metrics.jsonl"),
        entries(folder / "samples.jsonl"),
        (folder / "expert.safetensors").read_bytes(),
    )


def test_reward_rises_and_z_moves(model, tmp_path):
    config = TrainConfig(steps=40, prompts=4, group=8, lr=6e-2, eval_every=40, validation=4)
    reports = list(train(model, StartHigh(), config, tmp_path / "run"))
    early = sum(r.reward for r in reports[:5]) / 5
    late = sum(r.reward for r in reports[-5:]) / 5
    assert late > early + 0.2  # 160 completions each: 3.5 standard errors of the difference
    assert reports[-1].change > 0
    assert model.worn == {}


def test_only_z_trains(model, tmp_path):
    before = [mx.array(p) for _, p in sorted(_flat(model))]
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    after = [p for _, p in sorted(_flat(model))]
    assert all(mx.array_equal(a, b).item() for a, b in zip(before, after, strict=True))


def _flat(model):
    from mlx.utils import tree_flatten

    return [(k, v) for k, v in tree_flatten(model.network.parameters())]


def test_a_run_without_signal_changes_nothing_and_says_so(model, tmp_path):
    reports = list(train(model, StartHigh(pays=False), CONFIG, tmp_path / "run"))
    assert all(r.is_skipped and r.signal_groups == 0 and r.change == 0 for r in reports)
    expert = Expert.load(tmp_path / "run" / "expert.safetensors")
    assert all(mx.array_equal(z, mx.ones_like(z)).item() for z in expert.scales.values())
    assert expert.metrics["skipped_steps"] == CONFIG.steps


def test_truncated_completions_are_counted_and_earn_nothing(model, tmp_path):
    @dataclass(frozen=True)
    class OneToken(StartHigh):
        max_tokens: int = 1

    report = next(train(model, OneToken(), CONFIG, tmp_path / "run"))
    assert report.truncated > 0
    assert report.reward == 0  # a high token does not end the answer, a low one earns nothing


def test_a_run_folder_tells_the_whole_story(model, tmp_path):
    out = tmp_path / "run"
    reports = list(train(model, StartHigh(), CONFIG, out))
    assert [e["step"] for e in entries(out / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    samples = entries(out / "samples.jsonl")
    assert len(samples) == CONFIG.steps * CONFIG.prompts
    assert all(len(s["completions"]) == len(s["rewards"]) == CONFIG.group for s in samples)
    expert = Expert.load(out / "expert.safetensors")
    expert.check(model.name, model.fingerprint("mlp"), model.shapes)
    assert expert.metrics["best_validation"] == reports[-1].best_validation
    assert {"base_accuracy", "final_accuracy", "n_eval"} <= set(expert.metrics)
    assert json.loads((out / "config.json").read_text())["lr"] == CONFIG.lr


def test_same_seed_same_bytes_other_seed_others(model, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        list(
            train(
                model,
                StartHigh(),
                TrainConfig(**vars(CONFIG) | {"seed": seed}),
                tmp_path / name,
            )
        )
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")[0] != files(tmp_path / "c")[0]


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_a_stopped_run_resumes_to_the_undisturbed_runs_bytes(model, tmp_path, stop_after):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    whole = files(tmp_path / "run")
    out = tmp_path / "again" / "run"
    stopped = train(model, StartHigh(), CONFIG, out)
    for _ in range(stop_after):
        next(stopped)
    stopped.close()
    # a crash between the log lines and the checkpoint leaves lines of a step that will be made
    # again
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99}\n{"step": 1')
    list(train(model, StartHigh(), CONFIG, out, resume=True))
    assert files(out) == whole


def test_resuming_a_finished_run_changes_nothing(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    whole = files(tmp_path / "run")
    assert list(train(model, StartHigh(), CONFIG, tmp_path / "run", resume=True)) == []
    assert files(tmp_path / "run") == whole


_PROGRAM = """
import sys; sys.path[:0] = sys.argv[2:]
import mlx.core, pytest
from pathlib import Path
from test_train import CONFIG, StartHigh, HalfTheTokensEnd
from helpers import tiny_network
from mlx_t2.models import SVFModel
from mlx_t2.training import train
model = SVFModel("tiny", tiny_network(), HalfTheTokensEnd())
for _ in model.decompose(): pass
out = Path(sys.argv[1])
begun = (out / "checkpoint/state.safetensors").exists()
for report in train(model, StartHigh(), CONFIG, out, resume=begun):
    print(report.step, flush=True)
"""


def test_kill_minus_nine_then_resume_gives_the_undisturbed_runs_files(tmp_path):
    here = Path(__file__).parent
    command = [sys.executable, "-c", _PROGRAM]
    paths = [str(here), str(here.parent)]

    def run(out: Path, kill_at: str | None = None) -> None:
        started = [*command, str(out), *paths]
        with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.strip() == kill_at:
                    time.sleep(0.02)  # somewhere inside the next step
                    process.send_signal(signal.SIGKILL)
        assert process.wait() == (0 if kill_at is None else -9)

    run(tmp_path / "whole" / "run")
    run(tmp_path / "killed" / "run", kill_at="2")
    run(tmp_path / "killed" / "run", kill_at="4")
    run(tmp_path / "killed" / "run")
    assert files(tmp_path / "killed" / "run") == files(tmp_path / "whole" / "run")


def test_an_expert_can_be_trained_further(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    start = str(tmp_path / "run" / "expert.safetensors")
    config = TrainConfig(**vars(CONFIG) | {"init": start})
    further = train(model, StartHigh(), config, tmp_path / "further")
    assert next(further).change > 0.9 * _change(Expert.load(Path(start)))


def _change(expert: Expert) -> float:
    return mx.mean(mx.abs(mx.concatenate(list(expert.scales.values())) - 1)).item()


def test_kl_to_the_base_is_reported_and_pulls_back(model, tmp_path):
    longer = TrainConfig(**vars(CONFIG) | {"steps": 12})
    free = list(train(model, StartHigh(), longer, tmp_path / "free"))
    held = list(
        train(model, StartHigh(), dataclasses.replace(longer, kl=5.0), tmp_path / "held")
    )
    assert free[-1].kl == 0
    assert held[-1].kl != 0
    assert held[-1].change < free[-1].change


def test_a_folder_in_use_is_refused(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    with pytest.raises(ConfigError, match="holds a run already"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "run"))


def test_a_folder_that_cannot_be_made_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be made"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "file" / "run"))


def test_a_run_stopped_before_its_first_checkpoint_resumes_from_the_beginning(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    whole = files(tmp_path / "run")
    out = tmp_path / "again" / "run"
    next(train(model, StartHigh(), CONFIG, out))
    (out / "checkpoint" / "state.safetensors").unlink()
    list(train(model, StartHigh(), CONFIG, out, resume=True))
    assert files(out) == whole


def test_a_full_disk_at_a_checkpoint_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    running = train(model, StartHigh(), CONFIG, tmp_path / "run")
    next(running)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlx_t2.training.checkpoint.os.replace", full)
    with pytest.raises(CheckpointError, match="No space left"):
        next(running)
    names = {path.name for path in (tmp_path / "run" / "checkpoint").iterdir()}
    assert names == {"state.safetensors"}
    assert load_state(tmp_path / "run" / "checkpoint" / "state.safetensors").step == 1


def test_nothing_to_resume_is_one_clear_error(model, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        next(train(model, StartHigh(), CONFIG, tmp_path, resume=True))


def test_a_run_of_another_task_is_not_resumed(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="a run with another task"):
        next(train(model, StartHigh(name="other"), CONFIG, tmp_path / "run", resume=True))


def test_a_truncated_checkpoint_is_one_clear_error(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    path = tmp_path / "run" / "checkpoint" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        load_state(path)


def test_a_model_decomposed_otherwise_is_refused(model, tmp_path):
    with pytest.raises(ConfigError, match="the model is decomposed for 'mlp'"):
        next(train(model, StartHigh(), TrainConfig(targets="attention"), tmp_path))


def test_an_expert_of_another_model_cannot_be_trained_further(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    path = tmp_path / "run" / "expert.safetensors"
    other = Expert(
        **{k: v for k, v in vars(Expert.load(path)).items() if k != "digest"}
        | {"base_fingerprint": "0" * 64}
    )
    other.save(tmp_path / "other.safetensors")
    config = TrainConfig(**vars(CONFIG) | {"init": str(tmp_path / "other.safetensors")})
    with pytest.raises(ExpertFileError, match="was trained on"):
        next(train(model, StartHigh(), config, tmp_path / "further"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("group", 1),
        ("lr", 0.0),
        ("clip", -1.0),
        ("temperature", 0.0),
        ("kl", -0.1),
        ("validation", 0),
    ],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ConfigError, match=setting):
        TrainConfig(**{setting: value})
