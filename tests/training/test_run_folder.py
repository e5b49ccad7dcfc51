"""A run's folder in other people's hands: damaged logs, two runs at once, more steps."""

import dataclasses
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_task import CONFIG, StartHigh, files, toy_model

from mlx_t2.errors import CheckpointError, ConfigError, FileError
from mlx_t2.training import read_config, train
from mlx_t2.training.run_folder import RunFolder, read_metrics

pytestmark = pytest.mark.whole_runs


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def aside(path: Path) -> list[bytes]:
    copies = sorted(path.parent.glob(f"{path.name}.set-aside-*"))
    return [line for copy in copies for line in copy.read_bytes().split(b"\n") if line]


# Logs

FOREIGN = {
    "torn": b'{"step": 3, "rew',
    "NULs": b"\0" * 40,
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "no step": b'{"reward": 1.0}',
    "a step that is text": b'{"step": "3"}',
    "true for a step": b'{"step": true}',
    "step 0": b'{"step": 0}',
    "not UTF-8": b'{"step": 2, "text": "\xff\xfe"}',
    "UTF-16": '{"step": 2}'.encode("utf-16"),
    "a step of another program": b'{"step": 2}',
    "a later step": b'{"step": 9, "reward": 1.0}',
    "deep": b"[" * 100_000,
    "a long number": b'{"step": ' + b"9" * 5000 + b"}",
    "half a character": b'{"step": 2, "text": "\xe2\x82',
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A run that was stopped after step 4 of 6."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    running = train(toy_model(), StartHigh(), CONFIG, out)
    for _ in range(4):
        next(running)
    running.close()
    return out


@pytest.mark.parametrize("place", ["file/run", "file", "x" * 300, "file/a/b"])
def test_a_folder_that_cannot_be_is_known_before_anything_is_measured(
    tmp_path, monkeypatch, place
):
    (tmp_path / "file").write_text("taken")
    monkeypatch.setattr("mlx_t2.training.run.watch_probe", None)
    running = train(
        toy_model(), StartHigh(), dataclasses.replace(CONFIG, probe=True), tmp_path / place
    )
    with pytest.raises(FileError, match=r"cannot be written \("):
        next(running)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def copy(folder: Path, out: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, out / "run"))


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
def test_a_line_that_is_none_of_the_log_goes_to_a_copy(stopped, tmp_path, name, what):
    out = copy(stopped, tmp_path)
    before = lines(out / name)
    text = b"\n".join([*before[:1], b"", b"  ", FOREIGN[what], *before[1:]]) + b"\n"
    (out / name).write_bytes(text)
    notes = RunFolder(out).forget_after(4)
    assert lines(out / name) == before
    assert b"\n".join(aside(out / name)) == FOREIGN[what].strip(b"\n")
    (note,) = notes
    assert f"{name}.set-aside-1" in note


def test_what_is_readable_stays_byte_for_byte(stopped, tmp_path):
    out = copy(stopped, tmp_path)
    path = out / "metrics.jsonl"
    odd = [b"\xef\xbb\xbf" + lines(path)[0], *[line + b"\r" for line in lines(path)[1:]]]
    path.write_bytes(b"\n".join(odd))  # no end of the last line
    assert RunFolder(out).forget_after(4) == []
    assert path.read_bytes() == b"\n".join(odd) + b"\n"
    assert [entry["step"] for entry in read_metrics(out)[1:]] == [2, 3, 4]
    assert not list(out.glob("*set-aside*"))


def test_steps_that_two_runs_made_are_kept_once_and_the_others_beside(stopped, tmp_path):
    out = copy(stopped, tmp_path)
    for name in ("metrics.jsonl", "samples.jsonl"):
        path = out / name
        whole = lines(path)
        per_step = len(whole) // 4
        again = [line.replace(b'"step"', b' "step"') for line in whole[2 * per_step :]]
        path.write_bytes(b"\n".join([*whole, *again]) + b"\n")
        RunFolder(out).forget_after(4)
        assert lines(path) == [*whole[: 2 * per_step], *again]
        assert aside(path) == whole[2 * per_step :]


def test_lines_of_later_steps_are_kept_beside_and_each_time_in_a_file_of_its_own(
    stopped, tmp_path
):
    out = copy(stopped, tmp_path)
    whole = lines(out / "metrics.jsonl")
    assert len(RunFolder(out).forget_after(3)) == 2
    RunFolder(out).forget_after(2)
    assert lines(out / "metrics.jsonl") == whole[:2]
    assert [len(lines(p)) for p in sorted(out.glob("metrics.jsonl.set-aside-*"))] == [1, 1]
    assert sorted(aside(out / "metrics.jsonl")) == sorted(whole[2:])


def test_a_finished_runs_logs_are_left_alone(model, tmp_path):
    out = tmp_path / "run"
    list(train(model, StartHigh(), CONFIG, out))
    path = out / "metrics.jsonl"
    whole = lines(path)
    text = b"\n".join([whole[0], b"", b'{"torn', *whole[1:]]) + b"\n"
    path.write_bytes(text)
    assert list(train(model, StartHigh(), CONFIG, out, resume=True)) == []
    assert path.read_bytes() == text
    assert [entry["step"] for entry in read_metrics(out)] == [1, 2, 3, 4, 5, 6]


def test_what_was_set_aside_is_said_once_and_the_run_ends_as_an_undisturbed_one(
    model, stopped, tmp_path
):
    list(train(model, StartHigh(), CONFIG, tmp_path / "whole" / "run"))
    out = copy(stopped, tmp_path)
    with (out / "metrics.jsonl").open("ab") as file:
        file.write(b'\0\0\n{"step": 5, "reward": 0.5}\n')
    first, second = train(model, StartHigh(), CONFIG, out, resume=True)
    assert "again is in metrics.jsonl.set-aside-1 (2 of 6 lines)" in first.warning
    assert "set-aside" not in (second.warning or "")
    assert files(out) == files(tmp_path / "whole" / "run")


def test_a_log_that_cannot_be_read_is_named(stopped, tmp_path):
    out = copy(stopped, tmp_path)
    (out / "metrics.jsonl").unlink()
    (out / "metrics.jsonl").mkdir()
    with pytest.raises(FileError, match=r"metrics\.jsonl: cannot be read \(Is a directory\)"):
        RunFolder(out).forget_after(4)


# Two at once

HOLDER = """
import sys; sys.path[:0] = sys.argv[2:]
import mlx_t2
from pathlib import Path
from toy_task import CONFIG, StartHigh, toy_model
from mlx_t2.training import train
out = Path(sys.argv[1])
running = train(toy_model(), StartHigh(), CONFIG, out, resume=(out / "config.json").exists())
next(running)
print("holds", flush=True)
sys.stdin.read()
"""


def holder(out: Path) -> subprocess.Popen:
    """Another process that has done a step in the folder and is still there."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out), str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_folder_that_another_process_trains_in_is_refused_by_its_number(model, tmp_path):
    out = tmp_path / "run"
    with holder(out) as other:
        said = f"run: process {other.pid} is training in it"
        with pytest.raises(CheckpointError, match=said):
            next(train(model, StartHigh(), CONFIG, out, resume=True))
        with pytest.raises(CheckpointError, match=said):
            next(train(model, StartHigh(), CONFIG, out))
        with pytest.raises(CheckpointError, match=said):  # before a model is loaded
            read_config({}, None, out)
        assert [entry["step"] for entry in read_metrics(out)] == [1]
        os.kill(other.pid, signal.SIGKILL)
    assert next(train(model, StartHigh(), CONFIG, out, resume=True)).step == 2


def test_two_that_begin_at_once_are_one_run(tmp_path):
    settings = {"steps": 1}
    with RunFolder(tmp_path / "run") as first, RunFolder(tmp_path / "run") as second:
        first.check_free()
        second.check_free()  # both have measured, and now begin
        assert first.open(settings) == []
        with pytest.raises(CheckpointError, match=f"process {os.getpid()} is training in it"):
            second.open(settings)
    with RunFolder(tmp_path / "run") as third, pytest.raises(CheckpointError, match="holds a"):
        third.open(settings)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks_gets_a_note(model, tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    first, *_ = train(model, StartHigh(), CONFIG, tmp_path / "run")
    assert "no locks here, so start one run at a time" in first.warning


def test_a_lock_left_behind_keeps_nobody_out(stopped, model, tmp_path):
    out = copy(stopped, tmp_path)
    for left in (b"99999999\n", b"", b"\xff\0 what", b"9" * 4000):
        (out / ".lock").write_bytes(left)
        RunFolder(out).check_idle()
    assert next(train(model, StartHigh(), CONFIG, out, resume=True)).step == 5


# More steps


def test_a_finished_run_goes_on_to_the_bytes_of_a_longer_one(model, tmp_path):
    longer = dataclasses.replace(CONFIG, steps=12)
    list(train(model, StartHigh(), longer, tmp_path / "whole" / "run"))
    out = tmp_path / "extended" / "run"
    list(train(model, StartHigh(), CONFIG, out))
    config = read_config({"steps": 12}, None, out)
    reports = list(train(model, StartHigh(), config, out, resume=True))
    assert [report.step for report in reports] == [7, 8, 9, 10, 11, 12]
    whole, extended = files(tmp_path / "whole" / "run"), files(out)
    assert extended[1:] == whole[1:]
    drop = ("steps",)
    assert [{k: v for k, v in e.items() if k not in drop} for e in extended[0]] == [
        {k: v for k, v in e.items() if k not in drop} for e in whole[0]
    ]
    assert json.loads((out / "config.json").read_text())["steps"] == 12
    assert read_config({}, None, out) == config


def test_fewer_steps_than_are_done_are_refused_with_what_to_do(model, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "run"))
    config = read_config({"steps": 3}, None, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"got steps=3, but 6 are done.*\(--out\)"):
        next(train(model, StartHigh(), config, tmp_path / "run", resume=True))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["steps"] == 6


def test_a_schedule_that_changes_with_the_steps_says_so(model, tmp_path):
    cosine = dataclasses.replace(CONFIG, schedule="cosine")
    list(train(model, StartHigh(), cosine, tmp_path / "run"))
    config = read_config({"steps": 8}, None, tmp_path / "run")
    first, _ = train(model, StartHigh(), config, tmp_path / "run", resume=True)
    assert "the learning rate now falls over 8 steps, not 6, so it jumps after" in first.warning


def test_more_steps_alone_do_not_wake_a_run_that_lost_its_patience(model, tmp_path):
    short = dataclasses.replace(CONFIG, patience=1, lr=1e-9, eval_every=1)
    list(train(model, StartHigh(), short, tmp_path / "run"))
    longer = dataclasses.replace(short, steps=CONFIG.steps + 4)
    with pytest.raises(CheckpointError, match=r"by patience=1, expected more .*\(--patience\)"):
        next(train(model, StartHigh(), longer, tmp_path / "run", resume=True))


def test_a_run_that_lost_its_patience_goes_on_with_more(model, tmp_path):
    short = dataclasses.replace(CONFIG, patience=1, lr=1e-9, eval_every=1)
    done = len(list(train(model, StartHigh(), short, tmp_path / "run")))
    assert done < CONFIG.steps
    config = read_config({"patience": 9}, None, tmp_path / "run")
    again = list(train(model, StartHigh(), config, tmp_path / "run", resume=True))
    assert [report.step for report in again] == list(range(done + 1, CONFIG.steps + 1))


@pytest.mark.parametrize("flags", [{"lr": 1.0}, {"seed": 3}, {"group": 4, "kl": 0.5}])
def test_other_settings_are_refused_with_what_to_do(stopped, flags):
    with pytest.raises(ConfigError) as caught:
        read_config(flags, None, stopped)
    assert f"Leave out {', '.join(flags)}, or begin another run with --out" in str(caught.value)


# The same run


def test_the_same_model_by_another_name_is_the_same_run(model, stopped, tmp_path):
    list(train(model, StartHigh(), CONFIG, tmp_path / "whole" / "run"))
    out = copy(stopped, tmp_path)
    other = toy_model()
    other.name = "./elsewhere"
    assert len(list(train(other, StartHigh(), CONFIG, out, resume=True))) == 2
    assert files(out) == files(tmp_path / "whole" / "run")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no checkpoint to resume from, nor config.json"),
        (b"[]", "config.json: damaged"),
        (b"7", "config.json: damaged"),
        (b'{"lr"', "config.json: damaged"),
        (b"[" * 100_000, "config.json: damaged"),
        (b"{}", "whose weights are others"),
    ],
)
def test_settings_that_are_none_are_named_and_nothing_is_lost(
    model, stopped, tmp_path, content, said
):
    out = copy(stopped, tmp_path)
    (out / "config.json").write_bytes(content)
    before = {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()}
    with pytest.raises(CheckpointError, match=said):
        next(train(model, StartHigh(), CONFIG, out, resume=True))
    after = {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()}
    assert after == before


# Checkpoints


def test_a_checkpoint_under_the_name_of_another_step_is_passed_over(model, stopped, tmp_path):
    out = copy(stopped, tmp_path)
    folder = out / "checkpoint"
    (folder / "step-000009.safetensors").write_bytes(
        (folder / "step-000003.safetensors").read_bytes()
    )
    (folder / "step-last.safetensors").write_bytes(b"mine")
    (folder / "step-000004 (copy).safetensors").write_bytes(b"mine")
    first, _ = train(model, StartHigh(), CONFIG, out, resume=True)
    assert first.step == 5
    assert "step-000009.safetensors: no checkpoint to resume from (it is of step 3)" in (
        first.warning or ""
    )
    assert (folder / "step-last.safetensors").read_bytes() == b"mine"


def test_a_million_steps_are_in_order(tmp_path):
    for step in (999_999, 1_000_000, 12):
        (tmp_path / f"step-{step:06d}.safetensors").write_bytes(b"")
    from mlx_t2.training.checkpoint import generations

    assert [path.name[5:-12] for path in generations(tmp_path)] == [
        "1000000",
        "999999",
        "000012",
    ]


def test_a_checkpoint_of_another_model_is_refused(stopped, tmp_path):
    from helpers import tiny_network
    from toy_task import HalfTheTokensEnd

    from mlx_t2.models import SVFModel, decompose

    out = copy(stopped, tmp_path)
    smaller = decompose(SVFModel("tiny", tiny_network(layers=1), HalfTheTokensEnd()))
    other = tmp_path / "other"
    for _, _ in zip(range(4), train(smaller, StartHigh(), CONFIG, other), strict=False):
        pass
    for path in (out / "checkpoint").iterdir():
        path.write_bytes((other / "checkpoint" / path.name).read_bytes())
    with pytest.raises(CheckpointError, match="its newest checkpoint is not of this run"):
        next(train(toy_model(), StartHigh(), CONFIG, out, resume=True))


def test_what_is_preferred_holds_where_nothing_else_is_said(tmp_path):
    preferred = {"acts_on": "answer"}
    assert read_config({}, preferred=preferred).acts_on == "answer"
    assert read_config({"acts_on": "all"}, preferred=preferred).acts_on == "all"
    (tmp_path / "c.yaml").write_text("acts_on: all")
    assert read_config({}, tmp_path / "c.yaml", preferred=preferred).acts_on == "all"
