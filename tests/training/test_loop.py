import dataclasses
import errno
import json
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import pytest
from toy_task import CONFIG, StartHigh, files, toy_model

from mlx_t2 import blas
from mlx_t2.errors import (
    CheckpointError,
    ConfigError,
    ExpertFileError,
    FileError,
    TrainingError,
)
from mlx_t2.experts import Expert
from mlx_t2.files import append_line, read_lines
from mlx_t2.training import TrainConfig, train
from mlx_t2.training.checkpoint import load_state
from mlx_t2.training.run_folder import RunFolder

pytestmark = pytest.mark.whole_runs


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_reward_rises_and_z_moves(model, tmp_path):
    config = TrainConfig(steps=60, prompts=8, group=8, lr=6e-2, eval_every=60, validation=4)
    reports = list(train(model, StartHigh(), config, tmp_path / "run"))
    early = sum(r.reward for r in reports[:5]) / 5
    late = sum(r.reward for r in reports[-10:]) / 10
    # 320 and 640 completions: three standard errors of the difference
    assert late > early + 0.1
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
    assert [e["step"] for e in lines(out / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    samples = lines(out / "samples.jsonl")
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


def test_an_expert_can_be_trained_further(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    start = str(tmp_path / "run" / "expert.safetensors")
    config = TrainConfig(**vars(CONFIG) | {"init": start})
    further = train(model, StartHigh(), config, tmp_path / "further")
    assert next(further).change > 0.9 * _change(Expert.load(Path(start)))


def _change(expert: Expert) -> float:
    return mx.mean(mx.abs(mx.concatenate(list(expert.scales.values())) - 1)).item()


LONGER = dataclasses.replace(CONFIG, steps=12)


@pytest.fixture(scope="module")
def free(tmp_path_factory) -> list:
    """The reports of a run without a penalty."""
    out = tmp_path_factory.mktemp("free") / "run"
    return list(train(toy_model(), StartHigh(), LONGER, out))


@pytest.mark.parametrize("form", ["k1", "k2", "paper", "reference"])
def test_kl_to_the_base_is_reported_and_pulls_back(model, free, tmp_path, form):
    config = dataclasses.replace(LONGER, kl=5.0, kl_form=form)
    held = list(train(model, StartHigh(), config, tmp_path / "held"))
    for reports in (free, held):  # measured where it is evaluated, penalty or none
        assert [r.kl is None for r in reports] == [step % 2 == 0 for step in range(12)]
    assert held[-1].change < free[-1].change


def test_the_kl_is_the_same_estimate_under_every_penalty(model, tmp_path):
    """The first step's completions are the same, whatever its update is made of."""
    found = []
    for number, kl in enumerate((0.0, 5.0)):
        for form in ("k1", "k2", "paper", "reference"):
            config = dataclasses.replace(
                CONFIG, kl=kl, kl_form=form, eval_every=1, parametrisation="sigmoid"
            )
            out = tmp_path / f"{number}-{form}"
            found.append(next(train(model, StartHigh(), config, out)).kl)
    assert found == [found[0]] * 8
    assert found[0] != 0


def test_a_folder_in_use_is_refused(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="holds a run already"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "run"))


def test_a_folder_that_cannot_be_made_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"file/run: cannot be written .* writable folder"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "file" / "run"))


def test_a_run_stopped_before_its_first_checkpoint_resumes_from_the_beginning(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    whole = files(tmp_path / "run")
    out = tmp_path / "again" / "run"
    next(train(model, StartHigh(), CONFIG, out))
    (out / "checkpoint" / "step-000001.safetensors").unlink()
    list(train(model, StartHigh(), CONFIG, out, resume=True))
    assert files(out) == whole


def test_a_full_disk_at_a_checkpoint_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    running = train(model, StartHigh(), CONFIG, tmp_path / "run")
    next(running)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlx_t2.files.os.replace", full)
    with pytest.raises(FileError, match="No space left"):
        next(running)
    names = {path.name for path in (tmp_path / "run" / "checkpoint").iterdir()}
    assert names == {"step-000001.safetensors"}
    assert load_state(tmp_path / "run" / "checkpoint" / "step-000001.safetensors").step == 1


def test_nothing_to_resume_is_one_clear_error(model, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        next(train(model, StartHigh(), CONFIG, tmp_path, resume=True))


def test_a_run_of_another_task_is_not_resumed(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="a run with another task"):
        next(train(model, StartHigh(name="other"), CONFIG, tmp_path / "run", resume=True))


def test_two_checkpoints_are_kept(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoint").iterdir())
    assert names == ["step-000005.safetensors", "step-000006.safetensors"]


def cut(data: bytes) -> bytes:
    return data[:-40]


def flipped(data: bytes) -> bytes:
    """One bit of an array: the file is as readable as before."""
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


@pytest.mark.parametrize("damage", [cut, flipped, lambda data: b""])
def test_a_damaged_newest_checkpoint_falls_back_to_the_older_one(model, tmp_path, damage):
    out = tmp_path / "run"
    list(train(model, StartHigh(), CONFIG, out))
    whole = files(out)
    newest = out / "checkpoint" / "step-000006.safetensors"
    newest.write_bytes(damage(newest.read_bytes()))
    again = list(train(model, StartHigh(), CONFIG, out, resume=True))
    assert [report.step for report in again] == [6]
    assert "step-000006.safetensors: no checkpoint to resume from" in again[0].warning
    assert files(out)[1:] == whole[1:]


def test_two_damaged_checkpoints_are_one_error_that_names_both(model, tmp_path):
    out = tmp_path / "run"
    list(train(model, StartHigh(), CONFIG, out))
    for path in (out / "checkpoint").iterdir():
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"step-000006.*step-000005"):
        next(train(model, StartHigh(), CONFIG, out, resume=True))


def test_a_loss_that_is_nan_stops_with_the_last_step_kept(model, tmp_path, monkeypatch):
    out = tmp_path / "run"
    running = train(model, StartHigh(), CONFIG, out)
    next(running)
    monkeypatch.setattr(
        "mlx_t2.training.gradient.policy_loss",
        lambda logprobs, *_: logprobs.sum() * float("nan"),
    )
    with pytest.raises(TrainingError, match="step 2: the loss is nan"):
        next(running)
    state = load_state(out / "checkpoint" / "step-000001.safetensors")
    assert all(mx.isfinite(p).all().item() for p in state.parameters.values())
    monkeypatch.undo()
    list(train(model, StartHigh(), CONFIG, out, resume=True))
    list(train(model, StartHigh(), CONFIG, tmp_path / "whole"))
    assert files(out) == files(tmp_path / "whole")


def test_a_model_whose_scores_are_nan_stops_with_the_last_step_kept(model, tmp_path):
    out = tmp_path / "run"
    next(train(model, StartHigh(), CONFIG, out))
    far = dataclasses.replace(CONFIG, lr=1e30)
    with pytest.raises(
        TrainingError, match=r"step \d: the updated model's scores are NaN or infinite"
    ):
        list(train(model, StartHigh(), far, tmp_path / "far"))
    assert not list((tmp_path / "far" / "checkpoint").iterdir())


def test_any_text_in_the_logs_survives_a_resume(tmp_path):
    texts = ("a\u2028b\u0085c", "\x0b�")
    entries = [{"step": step, "completions": [text]} for step, text in enumerate(texts, 1)]
    for entry in entries:
        append_line(tmp_path / "samples.jsonl", entry)
    assert read_lines(tmp_path / "samples.jsonl") == entries
    RunFolder(tmp_path).forget_after(1)
    assert read_lines(tmp_path / "samples.jsonl") == entries[:1]


def test_a_line_cut_inside_a_character_is_left_out(tmp_path):
    path = tmp_path / "samples.jsonl"
    append_line(path, {"step": 1})
    append_line(path, {"step": 2, "text": "�"})
    path.write_bytes(path.read_bytes().rpartition(b"\xef")[0] + b"\xef")
    assert read_lines(path) == [{"step": 1}]


def test_a_resumed_run_needs_the_expert_it_began_from_no_more(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "first"))
    start = tmp_path / "first" / "expert.safetensors"
    config = dataclasses.replace(CONFIG, init=str(start))
    next(train(model, StartHigh(), config, tmp_path / "run"))
    start.unlink()
    assert next(train(model, StartHigh(), config, tmp_path / "run", resume=True)).step == 2


@pytest.mark.parametrize("left", ["checkpoint", "metrics.jsonl"])
def test_a_folder_with_remains_of_a_run_is_refused(model, tmp_path, left):
    next(train(model, StartHigh(), CONFIG, tmp_path / "whole"))
    (tmp_path / "run").mkdir()
    (tmp_path / "whole" / left).rename(tmp_path / "run" / left)
    with pytest.raises(CheckpointError, match="holds a run already"):
        next(train(model, StartHigh(), CONFIG, tmp_path / "run"))


def test_a_checkpoint_whose_numbers_were_changed_is_damaged(model, tmp_path):
    next(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    path = tmp_path / "run" / "checkpoint" / "step-000001.safetensors"
    changed = path.read_bytes().replace(b'{\\"step\\": 1,', b'{\\"step\\": 4,')
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match="digest does not match"):
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
        ("seed", -1),
        ("seed", 10**17),
    ],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ConfigError, match=setting):
        TrainConfig(**{setting: value})


def threads_seen(events) -> set[int]:
    """How many threads BLAS has while the training works."""
    return {blas.current_threads() for _ in events}


@pytest.mark.skipif(blas.BLAS.name != "openblas", reason="another BLAS decides by itself")
def test_a_resumed_run_multiplies_with_the_threads_that_it_had(model, tmp_path, monkeypatch):
    out, outside = tmp_path / "run", blas.current_threads()
    monkeypatch.setattr(blas, "choose_threads", lambda _: blas.Threads(1, "busy"))
    running = train(model, StartHigh(), CONFIG, out)
    next(running)
    running.close()
    assert json.loads((out / "config.json").read_text())["blas_threads"] == [1]
    monkeypatch.setattr(blas, "choose_threads", lambda _: blas.Threads(2, "free"))
    assert threads_seen(train(model, StartHigh(), CONFIG, out, resume=True)) == {1}
    assert threads_seen(train(model, StartHigh(), CONFIG, tmp_path / "other")) == {2}
    assert blas.current_threads() == outside


@pytest.mark.skipif(blas.BLAS.name != "openblas", reason="another BLAS decides by itself")
def test_a_resumed_run_with_other_threads_by_wish_says_so(model, tmp_path, monkeypatch):
    monkeypatch.setattr(blas, "choose_threads", lambda _: blas.Threads(1, "busy"))
    next(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    asked = blas.Threads(2, "OPENBLAS_NUM_THREADS=2", is_asked=True)
    monkeypatch.setattr(blas, "choose_threads", lambda _: asked)
    report = next(train(model, StartHigh(), CONFIG, tmp_path / "run", resume=True))
    assert report.warning.startswith("OPENBLAS_NUM_THREADS=2, the run had 1")
