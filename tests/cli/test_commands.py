"""Every command on a tiny model: what scripts rely on, and what is left on the disk."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from mlx_t2_cli import doctor

from mlx_t2.experts import Library

COMMANDS = [
    *("demo", "doctor", "decompose", "tasks", "train", "eval", "generate", "chat", "experts"),
    *("router", "serve", "export", "bench", "cache", "compare", "adapt"),
]
RUN = {
    ".lock",
    *("config.json", "metrics.jsonl", "samples.jsonl", "checkpoint", "expert.safetensors"),
    "plot.png",
}


def in_a_process(code: str, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120
    )


# Help


def test_help_lists_every_command_and_no_other(t2):
    shown = t2("--help")
    assert shown.code == 0
    listed = re.findall(r"^│ (\w+) ", shown.stdout, re.M)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(t2, command):
    shown = t2(f"{command} --help")
    assert (shown.code, shown.stderr) == (0, "")
    assert re.search(f"Usage: .*t2 {command}", shown.stdout)


def test_help_waits_for_no_library():
    code = """
import sys
from mlx_t2_cli.main import main
for command in sys.argv[1:]:
    sys.argv = ["t2", *command.split(), "--help"]
    try:
        main()
    except SystemExit:
        pass
heavy = {"mlx", "mlx_lm", "mlx_t2", "transformers", "numpy", "matplotlib"}
print(*heavy & {name.split(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    shown = in_a_process(code, "", *COMMANDS)
    assert (shown.returncode, shown.stderr) == (0, "\n")


# Tasks


def test_tasks_are_listed(t2):
    tasks = t2("tasks --json").result["tasks"]
    assert all({"name", "kind", "splits", "source"} <= task.keys() for task in tasks)
    listed = {task["name"]: task for task in tasks}
    assert listed["expression-shared"]["kind"] == "expression"
    assert listed["largest"]["splits"] == ["train", "validation", "test"]
    assert all(name in t2("tasks").stdout for name in listed)


def test_a_task_is_shown_with_its_problems(t2):
    shown = t2("tasks show largest --split test --limit 3 --json").result
    assert shown["name"] == "largest"
    assert len(shown["problems"]) == 3
    problem = shown["problems"][0]
    assert problem["messages"][0]["role"] == "system"
    told = t2("tasks show largest --split test --limit 3").stdout
    assert problem["messages"][-1]["content"] in told


# Doctor and decompose


def test_doctor_tells_what_the_machine_is(t2, tmp_path):
    found = t2("doctor --json", cache=tmp_path).result
    assert {"platform", "device", "blas", "sandbox", "ok"} <= found.keys()
    assert {"python", "mlx_t2", "mlx", "mlx_lm", "backend", "terminal"} <= found.keys()
    assert (found["experts"]["bundled"], found["unknown_to_routers"]) == (4, ["arc-easy"])
    assert found["extras"]["plots"]
    assert (found["cache"], found["cache_writable"]) == (str(tmp_path), True)


def test_doctor_names_every_extra(monkeypatch):
    needed = ['no-such-thing>=1; extra == "export-check"', 'mlx-lm>=0; extra == "reference"']
    monkeypatch.setattr("importlib.metadata.requires", lambda _: [*needed, "mlx-lm>=0"])
    assert dict(doctor._extras()) == {"export-check": False, "reference": True}


def test_doctor_names_what_is_damaged_on_the_shelf(t2):
    own = Library().own
    own.mkdir(parents=True)
    for name in ("burnt", "router"):
        (own / f"{name}.safetensors").write_bytes(b"ashes")
    found = t2("doctor --json").result
    assert found["experts"] == {"own": 0, "bundled": 4, "damaged": 1}
    assert any("burnt.safetensors: damaged" in remedy for remedy in found["remedies"])
    assert any("router.safetensors: not usable. Make it" in one for one in found["remedies"])
    assert "own: 0, bundled: 4, damaged: 1" in t2("doctor").stdout


def test_doctor_says_how_to_get_a_cache(t2, place):
    found = t2("doctor --json", cache=place / "taken" / "cache").result
    assert (found["ok"], found["cache_writable"]) == (False, False)
    assert any("MLX_T2_CACHE" in remedy for remedy in found["remedies"])


def test_a_model_is_decomposed_once(t2, tmp_path):
    first, second = (t2("decompose tiny --json", cache=tmp_path).result for _ in range(2))
    assert first.keys() == {"weights", "seconds", "cached", "bytes"}
    assert (first["weights"], first["cached"]) == (6, 0)
    assert (second["weights"], second["cached"]) == (6, 6)
    assert first["bytes"] == second["bytes"] > 0


def test_targets_and_rank_reach_the_decomposition(t2):
    every = t2("decompose tiny --targets all --json").result
    few = t2("decompose tiny --targets all --rank 4 --json").result
    assert (every["weights"], few["weights"]) == (14, 14)
    assert few["bytes"] < every["bytes"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(t2, tmp_path):
    line = "decompose tiny --targets mlp --rank 8 --dry-run"
    plan = t2(f"{line} --json", cache=tmp_path).result
    assert plan["weights"] == 6
    assert plan["targeted"]["model.layers.1.mlp.down_proj"] == [8]
    assert plan["skipped"]["model.embed_tokens"] == "an embedding, left alone as in the paper"
    assert "not among the targets" in plan["skipped"]["model.layers.0.self_attn.q_proj"]
    assert plan["expert_bytes"] == 6 * 8 * 4
    assert plan["bytes"] == 6 * 8 * 32 * 4
    assert plan["seconds"] >= 0
    assert not (tmp_path / "bases").exists()
    told = t2(line, cache=tmp_path).stdout
    assert "model.layers.*.mlp.down_proj" in told
    assert "an embedding" in told


def test_fewer_bits_make_smaller_bases_in_memory_of_one_on_disk(t2, tmp_path):
    line = "decompose tiny --json --basis-bits"
    bits = (32, 16, 8, 4)
    sizes = [t2(f"{line} {n} --dry-run", cache=tmp_path).result["bytes"] for n in bits]
    assert sizes == [sizes[0] // k for k in (1, 2, 4, 8)]
    made = [t2(f"{line} {n}", cache=tmp_path).result for n in bits]
    assert [found["cached"] for found in made] == [0, 6, 6, 6]
    assert len({found["bytes"] for found in made}) == 1
    exact = t2("decompose tiny --precision float32 --json", cache=tmp_path).result
    assert exact["cached"] == 0


def test_an_expert_is_worn_with_a_basis_of_fewer_bits(t2, experts, tmp_path):
    line = (
        "generate hello --model tiny --expert experts/alpha.safetensors --max-tokens 3 --json"
    )
    assert t2(f"{line} --basis-bits 8", cache=tmp_path).code == 0
    assert t2("decompose tiny --basis-bits 8 --json", cache=tmp_path).result["cached"] == 6
    assert t2(f"{line} --basis-bits 9").said == "basis bits: got 9, expected 32, 16, 8 or 4"


# Transfer


def test_an_expert_of_another_model_is_worn_only_when_asked_for(t2, experts):
    line = "generate hello --model other --expert experts/alpha.safetensors --max-tokens 3"
    refused = t2(line)
    assert refused.code == 1
    assert "was trained on 'tiny'" in refused.said
    assert "--allow-transfer" in refused.said
    worn = t2(f"{line} --allow-transfer --json")
    assert worn.code == 0
    assert list(worn.result["route"]["weights"].values()) == [1.0]
    assert "transfer: alpha was trained on tiny, and is worn by other" in worn.said
    assert (
        worn.result["text"]
        != t2("generate hello --model other --max-tokens 3 --json").result["text"]
    )


# Train


def test_training_tells_what_came_of_it(trained):
    assert trained.code == 0
    result = trained.result
    assert result.keys() == {
        *("task", "steps", "base_accuracy", "final_accuracy", "n_eval", "expert", "seconds"),
        *("skipped_steps", "signal", "source"),
    }
    assert result["signal"] == {
        "problems": 32,
        "samples": 8,
        "pass_at": {"1": 0.0, "8": 0.0},
        "varied": 0.0,
        "verdict": "no signal",
    }
    assert "no signal: on 32 training problems the model is right in 0.0 %" in trained.said
    told = {key: result[key] for key in ("task", "steps", "n_eval", "expert", "skipped_steps")}
    assert told == {
        "task": "largest",
        "steps": 2,
        "n_eval": 4,
        "expert": "run/expert.safetensors",
        "skipped_steps": 2,
    }


def test_training_shows_its_steps_on_stderr(trained):
    assert "step 1/2" in trained.said
    assert "step 2/2" in trained.said
    assert "held-out 0.0 %" in trained.said


def test_a_run_folder_is_complete(trained, place):
    assert {path.name for path in (place / "run").iterdir()} == RUN
    settings = json.loads((place / "run/config.json").read_text())
    assert (settings["model"], settings["group"], settings["lr"]) == ("tiny", 2, 2e-3)
    steps = (place / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in steps] == [1, 2]
    groups = (place / "run/samples.jsonl").read_text().splitlines()
    assert len(groups) == 2 * 3
    assert all(len(json.loads(line)["completions"]) == 2 for line in groups)


def test_resuming_a_finished_run_tells_the_same_and_changes_nothing(
    t2, trained, place, tmp_path
):
    shutil.copytree(place / "run", tmp_path / "run")
    again = t2(f"train largest --model tiny --out {tmp_path}/run --resume --json").result
    changing = {"seconds", "expert"}
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in trained.result.items() if k not in changing
    }
    for path in (place / "run").glob("*.*"):
        assert (tmp_path / "run" / path.name).read_bytes() == path.read_bytes()


def test_ctrl_c_tells_the_command_that_goes_on(t2, trained, place, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlx_t2_cli.training_display.TrainingDisplay.show", interrupt)
        stopped = t2(
            f"train largest --model tiny --out {tmp_path}/run --steps 2 --prompts 3 "
            "--group 2 --validation 4 --test 4"
        )
    assert (stopped.code, stopped.stdout) == (130, "")
    assert "Traceback" not in stopped.stderr
    assert not (tmp_path / "run/expert.safetensors").exists()
    command = re.search(r"every finished step is kept\. To go on: t2 (.*)", stopped.stderr)[1]
    assert t2(command).code == 0
    whole = place / "run/expert.safetensors"
    assert (tmp_path / "run/expert.safetensors").read_bytes() == whole.read_bytes()


def test_a_dry_run_tells_what_it_would_take_and_writes_nothing(t2, tmp_path):
    line = f"train largest --model tiny --out {tmp_path}/run --prompts 3 --group 2 --dry-run"
    plan = t2(f"{line} --json").result
    assert plan["rows"] == plan["completions"] == 6
    assert 0 < plan["gradient"] < plan["limit"]
    assert "gradient pass over 6 of 6 completions" in t2(line).stdout
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_may_take_its_work_in_smaller_parts(t2, trained, place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    line = f"train largest --model tiny --out {tmp_path}/run --resume"
    assert t2(f"{line} --rows 2 --memory-gb 1").code == 0
    settings = json.loads((tmp_path / "run/config.json").read_text())
    assert (settings["rows"], settings["memory_gb"]) == (2, 1.0)
    assert settings["fitted"] == {"rows": 2, "decoded": 6}


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(t2, trained, place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    newest = max((tmp_path / "run/checkpoint").iterdir())
    newest.write_bytes(newest.read_bytes()[:-9])
    again = t2(f"train largest --model tiny --out {tmp_path}/run --resume")
    assert again.code == 0
    assert "! " in again.stderr
    assert "step-000002.safetensors: no checkpoint to resume from" in again.said
    for path in (place / "run").glob("expert*"):
        assert (tmp_path / "run" / path.name).read_bytes() == path.read_bytes()


def test_steps_are_reported_to_the_services_of_mlx_lm(t2, tmp_path, monkeypatch):
    """wandb itself is the network: a stand-in takes what mlx-lm's callback hands it."""
    logged, started = [], []
    wandb = SimpleNamespace(
        init=lambda **settings: started.append(settings),
        log=lambda numbers, step: logged.append((step, numbers)),
    )
    monkeypatch.setattr("mlx_lm.tuner.callbacks.wandb", wandb)
    line = "--steps 2 --prompts 3 --group 2 --validation 4 --test 0"
    ran = t2(
        f"train largest --model tiny --out {tmp_path}/run {line} --report-to wandb "
        "--project-name largest"
    )
    assert ran.code == 0
    assert started[0]["project"] == "largest"
    assert started[0]["config"]["prompts"] == 3
    assert [step for step, _ in logged] == [1, 2]
    assert {"reward", "signal_groups", "change"} <= logged[0][1].keys()


def test_a_service_that_fails_does_not_end_the_training(t2, tmp_path, monkeypatch):
    def refused(**_: object):
        raise OSError("no network")

    wandb = SimpleNamespace(init=refused, log=lambda *_: None)
    monkeypatch.setattr("mlx_lm.tuner.callbacks.wandb", wandb)
    line = "--steps 2 --prompts 3 --group 2 --validation 4 --test 0 --report-to wandb"
    ran = t2(f"train largest --model tiny --out {tmp_path}/run {line}")
    assert ran.code == 0
    assert ran.said.count("report-to: wandb failed (no network); nothing more") == 1


def test_flags_win_over_a_settings_file(t2, tmp_path):
    (tmp_path / "few.yaml").write_text(
        "steps: 9\nprompts: 3\ngroup: 2\nvalidation: 3\ntest: 0\nlr: 1e-3\n"
    )
    result = t2(
        f"train largest --model tiny --out {tmp_path}/run -c {tmp_path}/few.yaml --steps 1 "
        "--json"
    ).result
    assert (result["steps"], result["n_eval"]) == (1, 3)  # no test problems: validation counts
    settings = json.loads((tmp_path / "run/config.json").read_text())
    assert (settings["steps"], settings["prompts"], settings["lr"]) == (1, 3, 1e-3)


# Eval


@pytest.mark.parametrize(
    ("flags", "strategy"),
    [
        ("", "none"),
        ("--adapt none", "none"),
        ("--expert run/expert.safetensors", "expert:run/expert.safetensors"),
        ("--expert alpha --experts experts", "expert:alpha"),
        ("--mix alpha=0.6,beta=0.4 --experts experts", "mix:alpha=0.6,beta=0.4"),
        ("--adapt sum --experts experts", "sum"),
        ("--adapt prompt --experts experts", "prompt"),
    ],
)
def test_every_strategy_is_evaluated(t2, trained, experts, tmp_path, flags, strategy):
    ran = t2(
        f"eval largest --model tiny --limit 3 {flags} --out {tmp_path}/answers.jsonl --json"
    )
    result = ran.result
    assert result.keys() - {"sandbox"} == {  # said once this process has run programs
        *("task", "model", "split", "n", "correct", "accuracy", "interval", "seconds"),
        *("strategy", "strict", "lenient", "truncated", "samples", "clusters", "source"),
        "form",
    }
    assert (result["task"], result["model"]) == ("largest", "tiny")
    assert (result["split"], result["n"], result["correct"]) == ("test", 3, 0)
    assert result["strategy"] == strategy
    assert [round(bound, 2) for bound in result["interval"]] == [0, 0.56]
    answers = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in answers}) == 3


def test_an_evaluation_is_told_in_words(t2):
    told = t2("eval largest --model tiny --limit 3 --split validation").stdout
    assert "largest, validation, none: 0.0 % (0 of 3, 95 % interval 0-56 %)" in told
    assert "most common answer" in told


# Generate


def test_an_answer_comes_with_its_route(t2):
    result = t2("generate hello --model tiny --max-tokens 5 --json").result
    assert result.keys() == {
        *("text", "prompt_tokens", "completion_tokens", "route", "finish_reason"),
    }
    assert result["route"] == {
        "strategy": "none",
        "weights": {},
        "label": None,
        "confidence": None,
        "first_pass_ms": 0,
        "form": "live",
    }
    assert (result["completion_tokens"], result["finish_reason"]) == (5, "length")


def test_without_json_stdout_is_the_answer_alone(t2):
    asked = "generate hello --model tiny --max-tokens 5"
    ran = t2(asked)
    assert ran.stdout == t2(f"{asked} --json").result["text"] + "\n"
    assert "none: base model, first pass 0 ms" in ran.said


def test_a_question_can_come_from_standard_input(t2):
    flags = "--model tiny --max-tokens 5 --json"
    said = t2(f"generate 'how are you' {flags}").result
    for read in (
        t2(f"generate - {flags}", "how are you\n"),
        t2(f"generate {flags}", "how are you"),
    ):
        assert {**read.result, "route": None} == {**said, "route": None}


def test_an_expert_a_mixture_and_a_sum_answer_otherwise_than_the_base(t2, experts):
    asked = "generate hello --model tiny --experts experts --max-tokens 8 --json"
    flags = ("", "--expert alpha", "--expert beta", "--mix alpha=0.6,beta=0.4", "--adapt sum")
    results = [t2(f"{asked} {flag}").result for flag in flags]
    assert len({result["text"] for result in results}) == len(flags)
    assert [result["route"]["weights"] for result in results] == [
        {},
        {"alpha": 1},
        {"beta": 1},
        {"alpha": 0.6, "beta": 0.4},
        {"alpha": 1, "beta": 1},
    ]
    assert results[1]["route"]["label"] == "alpha"


def test_an_expert_untouched_by_training_answers_as_the_base(t2, trained):
    asked = "generate hello --model tiny --max-tokens 8 --system 'be brief' --json"
    base, worn = (t2(f"{asked} {f}").result for f in ("", "--expert run/expert.safetensors"))
    assert (worn["text"], worn["prompt_tokens"]) == (base["text"], base["prompt_tokens"])


def test_the_same_seed_gives_the_same_answer(t2):
    asked = "generate hello --model tiny --temp 1 --max-tokens 8 --json"
    first, again, other = (t2(f"{asked} --seed {s}").result["text"] for s in (3, 3, 4))
    assert first == again != other


# Experts and export


def test_experts_are_listed(t2, experts):
    found = t2("experts list --experts experts --json").result["experts"]
    assert {tuple(sorted(e)) for e in found} == {
        (
            *("acts_on", "base_model", "bytes", "domain", "is_known", "is_own"),
            *("metrics", "name", "path", "task"),
        )
    }
    assert [(e["name"], e["base_model"]) for e in found] == [
        ("alpha", "tiny"),
        ("beta", "tiny"),
    ]
    assert "alpha" in t2("experts list --experts experts").stdout


def test_all_that_is_known_of_an_expert_is_shown(t2, trained):
    known = t2("experts show run/expert.safetensors --json").result
    assert (known["name"], known["task"], known["rank"]) == ("run", "largest", "full")
    assert (known["vectors"], known["numbers"]) == (6, 6 * 32)
    assert known["metrics"]["steps"] == known["config"]["steps"] == 2
    assert known["digest"][:40] in t2("experts show run/expert.safetensors").stdout


def test_an_exported_expert_is_the_file_itself(t2, trained, place, tmp_path):
    export = f"export run/expert.safetensors --to safetensors --out {tmp_path}/mine.safetensors"
    result = t2(f"{export} --json").result
    written = (tmp_path / "mine.safetensors").read_bytes()
    assert written == (place / "run/expert.safetensors").read_bytes()
    assert (result["path"], result["bytes"]) == (
        f"{tmp_path}/mine.safetensors",
        len(written),
    )
    assert t2(export).code == 0  # the same bytes may be written again


def test_overwrite_replaces_another_file(t2, trained, place, tmp_path):
    (tmp_path / "run.safetensors").write_text("of somebody else")
    ran = t2(f"export run/expert.safetensors --out {tmp_path} --overwrite")
    assert ran.code == 0
    written = (tmp_path / "run.safetensors").read_bytes()
    assert written == (place / "run/expert.safetensors").read_bytes()


# The program


def test_the_program_itself_writes_one_json_object_to_stdout(place):
    words = shlex.split("generate hello --max-tokens 2 --json --model")
    ran = in_a_process("from mlx_t2_cli.main import main; main()", *words, str(place / "tiny"))
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["completion_tokens"] == 2
    assert ran.stdout.count("\n") == 1


def test_ctrl_c_ends_any_command_with_130(t2, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlx_t2.models.load", interrupt)
    ran = t2("generate hello --model tiny --json")
    assert (ran.code, ran.stdout) == (130, "")
    assert "Traceback" not in ran.stderr
