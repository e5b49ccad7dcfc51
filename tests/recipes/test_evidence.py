"""The evidence on a real model: its plan, its jobs on a tiny one, what is collected of them and
how it is shown.
"""

import json
import time
from dataclasses import replace

import mlx.core as mx
import pytest
import typer
from helpers import tiny_network, tiny_tokenizer
from mlx_t2_cli.recipes import recipes
from typer.testing import CliRunner

from mlx_t2.adaptation import Adapted, SearchConfig
from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.evaluation import GradedItem, read_items, write_items
from mlx_t2.experts import Expert
from mlx_t2.grading import make_grader
from mlx_t2.models import SVFModel
from mlx_t2.recipes.evidence import Extent, answers, collection, runner, sets, trainings
from mlx_t2.recipes.evidence.plan import Job, describe_plan, list_jobs, list_parts
from mlx_t2.recipes.evidence.section import show_evidence
from mlx_t2.recipes.evidence.stints import is_finished, read_stints, record_stint, state_of
from mlx_t2.recipes.evidence.vectors import describe_scales
from mlx_t2.recipes.parallel import run_in_parallel
from mlx_t2.recipes.provenance import describe_machine
from mlx_t2.tasks import DatasetTask, Question, Row

TRIAL = Extent(problems=5, steps=1)
JOBS = {job.key: job for job in list_jobs()}


def make_task(name: str, splits=("train", "validation", "test"), **_) -> DatasetTask:
    """Which of four words has a z; with options, or free where the set's answers are."""
    has_options = name in ("arc-easy", "arc-challenge")

    def rows(split: str) -> list[dict]:
        return [{"text": f"{split} {i}"} for i in range(30)]

    def ask(row: Row) -> Question:
        options = {"A": "za", "B": "ab", "C": "cd", "D": "ef"}
        return Question(
            id=f"{name}/{row['text']}",
            text=row["text"],
            answer="za",
            kind="A",
            options=tuple(options.values()) if has_options else (),
            row={"options": options},
        )

    return DatasetTask(
        name=name,
        domain=name,
        description="made up",
        rows=rows,
        template=ask,
        grader=make_grader("exact"),
        max_tokens=3,
        splits=splits,
    )


@pytest.fixture
def tiny(monkeypatch):
    """The sets are made up, and the model is tiny."""

    def find(name: str, **_) -> DatasetTask:
        return make_task(name)

    def load(folder: str) -> SVFModel:
        return SVFModel(folder, tiny_network(), tiny_tokenizer())

    monkeypatch.setattr(sets, "get_task", find)
    for module in (answers, trainings):
        monkeypatch.setattr(module, "load", load)


def do(runs, *keys: str, extent: Extent = TRIAL, end: float | None = None) -> list[str]:
    return [runner.do_job(runs, "tiny", JOBS[key], extent, end) for key in keys]


# The sets


@pytest.mark.usefixtures("tiny")
def test_a_subset_depends_on_what_is_asked_alone():
    task = sets.open_set("gsm8k", most=8)
    chosen = [row["text"] for row in task.rows("test")]
    backwards = make_task("gsm8k")
    backwards = replace(backwards, rows=lambda split: make_task("gsm8k").rows(split)[::-1])
    again = sets.order_by_hash(backwards, backwards.rows("test"))[:8]
    assert [row["text"] for row in again] == chosen
    assert chosen != [f"test {i}" for i in range(8)]
    smaller = sets.open_set("gsm8k", most=3)
    assert [row["text"] for row in smaller.rows("test")] == chosen[:3]
    assert len(task.rows("train")) == 30


@pytest.mark.usefixtures("tiny")
def test_another_form_asks_the_first_of_the_subset_otherwise():
    own, short = sets.open_set("gsm8k", most=8), sets.open_set("gsm8k", sets.SHORT, most=8)
    assert short.rows("test") == own.rows("test")
    assert own.prompt == ()
    assert "short" in short.prompt[0]["content"]


def test_random_labels_are_on_training_problems_alone():
    task = make_task("arc-easy")
    random = sets.with_random_labels(task)
    assert random.problems("test", 30) != []
    assert {p.answer for p in random.problems("test", 30)} == {"za"}
    labels = {p.id: p.answer for p in random.problems("train", 30)}
    assert set(labels.values()) == {"za", "ab", "cd", "ef"}
    drawn = sets.with_random_labels(task).problems("train", 30)
    assert labels == {p.id: p.answer for p in drawn}
    assert all(p.row["options"][p.kind] == p.answer for p in drawn)
    assert [g.is_right for g in random.grade([(p, p.answer) for p in drawn])] == [True] * 30


def test_shots_are_training_problems_or_else_the_last_of_the_test_split(monkeypatch):
    monkeypatch.setattr(sets, "get_task", make_task)
    assert all(p.id.startswith("math/train") for p in sets.choose_shots("math"))
    monkeypatch.setattr(sets, "get_task", lambda name, **_: make_task(name, splits=("test",)))
    task = make_task("humaneval")
    ordered = [task.template(row).id for row in sets.order_by_hash(task, task.rows("test"))]
    assert sorted(p.id for p in sets.choose_shots("humaneval")) == sorted(ordered[-10:])


# The plan


def test_a_job_is_listed_once_and_behind_what_it_needs():
    before: set[str] = set()
    for job in list_jobs():
        assert job.key not in before
        assert before >= set(job.needs), job.key
        assert job.seconds > 0
        before.add(job.key)
    assert len({job.part for job in list_jobs()}) == len(list_parts())


@pytest.mark.parametrize("name", answers.CHOOSING)
def test_who_chooses_an_expert_waits_for_all_answers_that_may_be_chosen(name):
    assert {
        "answer--base--math",
        *(f"answer--{who}--math" for who in ("arc-easy-best", "gsm8k-0", "mbpp-0")),
    } <= set(JOBS[f"answer--{name}--math"].needs)
    seeds = {f"answer--arc-easy-{seed}--arc-challenge" for seed in (0, 1, 2)}
    assert seeds <= set(JOBS[f"answer--{name}--arc-challenge"].needs)


def test_the_plan_adds_up_what_is_left():
    jobs = [Job("base", "answer", "base", "math", seconds=3600.0)] * 3
    lines = list(describe_plan(jobs, ["finished", "begun", "open"], workers=2))
    assert [line.split()[-2] for line in lines] == ["0.0", "0.5", "1.0"]
    assert lines[1].split()[:3] == ["base", "answer--base--math", "begun"]


def test_an_unknown_part_is_named():
    with pytest.raises(ConfigError, match="got 'bases', expected some of base, arc"):
        runner.choose_jobs(["base", "bases"])
    assert {job.part for job in runner.choose_jobs(["rank"])} == {"rank"}


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--plan", "--part", "rank"], 0, "answer--arc-easy-best@256--arc-easy"),
        (["--samples"], 0, ""),
        ([], 2, "--model"),
    ],
)
def test_the_command_lists_the_plan_and_asks_for_a_model(
    tmp_path, monkeypatch, given, code, said
):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(recipes)
    ran = CliRunner().invoke(app, ["evidence", *given])
    assert ran.exit_code == code
    assert said in ran.output


# The jobs


def test_jobs_wait_for_what_they_need_and_the_impossible_is_left():
    seen: list[str] = []

    def is_ready(job: tuple) -> bool:
        return job != ("never",) and (job != ("last",) or "first" in seen)

    jobs = [("last",), ("never",), ("first",)]
    for line in run_in_parallel(str, jobs, 1, is_ready):
        seen.append(line)
    assert seen == ["first", "last"]


@pytest.mark.usefixtures("tiny")
def test_a_training_that_was_stopped_goes_on(tmp_path):
    key = "train--arc-easy-0"
    two = Extent(steps=2)
    (line,) = do(tmp_path, key, extent=two, end=time.time())
    assert "stopped" in line
    assert state_of(tmp_path, key) == "begun"
    (line,) = do(tmp_path, key, extent=two)
    assert "finished" in line
    assert is_finished(tmp_path, key)
    assert [stint["is_finished"] for stint in read_stints(tmp_path, key)] == [False, True]
    steps = (tmp_path / "train/arc-easy-0/metrics.jsonl").read_text().splitlines()
    assert [json.loads(step)["step"] for step in steps] == [1, 2]


@pytest.mark.usefixtures("tiny")
def test_a_training_took_as_long_as_its_steps_even_if_a_stint_was_killed(tmp_path):
    do(tmp_path, "train--mbpp-0", extent=Extent(steps=2))
    path = tmp_path / "train/mbpp-0/metrics.jsonl"
    steps = [json.loads(line) | {"seconds": 50.0} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(step) + "\n" for step in steps))
    found = collection.collect_evidence(tmp_path)
    assert [row["seconds"] for row in found["trainings"]] == [100]
    assert found["seconds"] == 100


@pytest.mark.usefixtures("tiny")
def test_answers_that_were_stopped_go_on(tmp_path):
    key, path = "answer--base--gsm8k", answers.answers_path(tmp_path, "base", "gsm8k")
    do(tmp_path, key, end=time.time())
    assert 0 < len(read_items(path)) < 5
    first = path.read_bytes().splitlines()[0]
    do(tmp_path, key)
    assert len(read_items(path)) == 5
    assert first in path.read_bytes().splitlines()
    assert [stint["is_finished"] for stint in read_stints(tmp_path, key)] == [False, True]
    assert read_stints(tmp_path, key)[0]["command"].endswith("--problems 5 --steps 1")


def test_a_job_that_fails_is_left(tmp_path, monkeypatch):
    def fail(*_):
        raise TaskDataError("no such rows")

    monkeypatch.setattr(runner, "answer_set", fail)
    (line,) = do(tmp_path, "answer--base--gsm8k")
    assert line.endswith("stopped after 0 s: no such rows")
    assert not is_finished(tmp_path, "answer--base--gsm8k")


@pytest.mark.usefixtures("tiny")
def test_from_trainings_to_the_section(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "SEEDS", (0,))
    monkeypatch.setattr(answers, "SEARCH", SearchConfig(shots=10, population=2, iterations=1))
    done = [
        *("answer--base--arc-easy", "answer--base--gsm8k"),
        *("train--arc-easy-0", "train--gsm8k-0", "train--mbpp-0", "train--arc-lora-0"),
        *("answer--arc-easy-0--arc-easy", "answer--arc-lora-0--arc-easy"),
        *("answer--arc-easy-best@64--arc-easy", "answer--base--gsm8k--short"),
    ]
    lines = do(tmp_path, *done)
    assert [line.partition(":")[0] for line in lines if "finished" in line] == done
    trainings.gather_experts(tmp_path)
    do(tmp_path, "answer--searched--arc-challenge")
    found = collection.collect_evidence(tmp_path)
    assert found["missing"] == [
        key for key in JOBS if key not in (*done, "answer--searched--arc-challenge")
    ]
    assert set(found["searches"]["arc-challenge"]["coefficients"]) == {
        "arc-easy",
        "gsm8k",
        "mbpp",
    }
    assert set(found["vectors"]["experts"]) == {"arc-easy-0", "gsm8k-0", "mbpp-0"}
    assert {row["name"]: row["is_lora"] for row in found["trainings"]}["arc-lora"]
    text = show_evidence(json.loads(json.dumps(found)))
    assert "`train--arc-random-0`" in text
    assert "| arc-easy | arc-lora-0 | 5 |" in text
    assert "| gsm8k | short | 5 |" in text


class EverySecond:
    """It chooses gsm8k for every second request, and the base model for the others."""

    name, is_fixed, acts_on = "classifier", False, "answer"

    def adapt(self, conversations, read=()) -> list[Adapted]:
        gsm8k, other = Adapted({}, {"gsm8k": 1.0}, "gsm8k"), Adapted({}, {}, "other")
        return [gsm8k if i % 2 else other for i in range(len(conversations))]


def test_who_chooses_gives_the_answer_of_whom_it_chooses(answered, monkeypatch):
    monkeypatch.setattr(trainings, "choose_seed", lambda *_: 1)
    monkeypatch.setattr(answers, "choose_seed", lambda *_: 1)
    monkeypatch.setattr(answers, "dress", lambda *_: (None, EverySecond()))
    for name in ("base", "gsm8k-0", "mbpp-0", "arc-easy-1"):
        record(answered, name, "math", set(range(15) if name == "gsm8k-0" else ()), n=30)
    steps = list(answers.answer_set(answered, "tiny", "classifier", "math", "", None))
    items = answers.read_answers(answered, "classifier", "math")
    assert len(steps) == 1
    assert [item.label for item in items] == ["other", "gsm8k"] * 15
    right = [int(item.id.split()[-1]) < 15 and item.label == "gsm8k" for item in items]
    assert [item.is_right for item in items] == right
    assert 0 < sum(right) < 15
    assert {item.strategy for item in items} == {"classifier"}


def test_few_scales_are_kept_where_few_are_asked_for():
    cut = answers.cut_rank(make_expert("e", [2.0, 3.0, 4.0]), 2)
    assert cut.scales["m.0.up"].tolist() == [2.0, 3.0, 1.0]


# What is collected


def make_expert(name: str, *z: list[float]) -> Expert:
    scales = {f"m.{i}.up": mx.array(one) for i, one in enumerate(z)}
    return Expert(name, scales, "tiny", "0" * 64, "mlp", None, "t", 0, {}, {})


def record(runs, name: str, on: str, right: set[int], n: int = 20, cut_off: int = 0) -> None:
    """A finished job whose answers to these problems are right."""
    items = [
        GradedItem(
            id=f"{on}/test {i}",
            question="?",
            answer="1",
            completion="1",
            reward=float(i in right),
            is_right=i in right,
            reason="",
            is_finished=i >= cut_off,
            label=None,
            coefficients={},
            kind="",
            model="tiny",
            max_tokens=256,
        )
        for i in range(n)
    ]
    path = answers.answers_path(runs, name, on)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_items(items, path)
    record_stint(runs, f"answer--{name}--{on}", "run it", 30.0, False)
    record_stint(runs, f"answer--{name}--{on}", "run it", 90.0, True)


@pytest.fixture
def answered(tmp_path, monkeypatch):
    """Of 20 problems the base answers 5 rightly, one expert 14, another 6."""
    monkeypatch.setattr(collection, "find_task", make_task)
    monkeypatch.setattr(sets, "get_task", make_task)
    record(tmp_path, "base", "gsm8k", set(range(5)), cut_off=4)
    record(tmp_path, "gsm8k-0", "gsm8k", set(range(1, 15)))
    record(tmp_path, "mbpp-0", "mbpp", set(range(6)))
    record(tmp_path, "arc-easy-0", "arc-easy", {0, 2, 3, 4, 5, 6, 7})
    record(tmp_path, "base", "arc-easy", set(range(5)))
    return tmp_path


def test_rows_are_paired_with_the_base_and_p_is_adjusted_within_a_table(answered):
    found = collection.collect_evidence(answered)
    rows = {(row["name"], row["set"]): row for row in found["rows"]}
    base, own = rows["base", "gsm8k"], rows["gsm8k-0", "gsm8k"]
    assert (base["correct"], base["n"], base["truncated"], base["seconds"]) == (5, 20, 4, 120)
    assert "against" not in base
    assert own["interval"] == pytest.approx([0.481, 0.855], abs=1e-3)  # Wilson of 14 in 20
    pair = own["against"]
    assert (pair["fixed"], pair["broken"]) == (10, 1)
    assert pair["p"] == pytest.approx(2 * 12 / 2**11, rel=1e-3)
    assert pair["p_adjusted"] == pytest.approx(2 * pair["p"], rel=1e-3)  # of two rows
    assert "against" not in rows["mbpp-0", "mbpp"]  # the base has not answered
    assert (found["model"], found["chosen"]) == ("tiny", None)
    assert "answer--base--mbpp" in found["missing"]
    assert found["seconds"] == 5 * 120


def test_the_section_has_counts_intervals_and_the_paper_beside(answered):
    record(answered, "prompt", "math", {0, 1})
    record(answered, "base", "math", {0})
    text = show_evidence(collection.collect_evidence(answered))
    assert "Not measured: `answer--base--arc-challenge`" in text
    assert (
        "| gsm8k | its own | 20 | 25.0 (11-47) | 25.0 | 25.0 | 20.0 | 256 |  |  | 2.0 |" in text
    )
    assert "| gsm8k | gsm8k-0 | 20 | 70.0 (48-85) | 10 | 1 | 0.01 | 0.02 | +45.0 (" in text
    paper = "| prompt | 25.22 | 61.59 | 81.74 | 11.86 | 43.90 | 72.35 | 10.0 (3-30) | – | – |"
    assert paper in text


def test_the_expert_that_is_meant_is_in_bold(answered):
    for on in ("math", "humaneval", "arc-challenge"):
        record(answered, "base", on, {0})
        record(answered, "gsm8k-0" if on != "arc-challenge" else "arc-easy-1", on, {0, 1})
    found = collection.collect_evidence(answered) | {"chosen": 1}
    text = show_evidence(found)
    for cells in ("| math | **gsm8k-0** |", "| humaneval | gsm8k-0 |"):
        assert cells in text
    assert "| arc-challenge | **arc-easy-1** |" in text
    assert "| arc-challenge | arc-easy-1 |" in show_evidence(found | {"chosen": None})


def test_a_section_without_anything_says_what_is_missing(tmp_path):
    found = collection.collect_evidence(tmp_path)
    assert len(found["missing"]) == len(JOBS)
    text = show_evidence(found)
    assert "|" not in text
    assert "`train--gsm8k-0`" in text


def test_searched_mixtures_are_not_asked_what_they_were_searched_on(answered):
    record(answered, "searched", "humaneval", set(range(10)))
    path = answered / "searches/humaneval.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"shots": ["humaneval/test 0", "humaneval/test 19"]}))
    items = answers.read_answers(answered, "searched", "humaneval")
    assert [item.id for item in items] == [f"humaneval/test {i}" for i in range(1, 19)]


def test_the_problems_to_read_are_named_by_their_place(answered):
    lines = list(collection.list_samples(answered))
    assert lines == [
        "arc-easy-0, arc-easy (test, 1165 by hash), fixed 3: 5, 6, 7",
        "arc-easy-0, arc-easy (test, 1165 by hash), broken 1: 1",
        "gsm8k-0, gsm8k (test, 500 by hash), fixed 10: 5, 6, 7, 8, 9, 10, 11, 12, 13, 14",
        "gsm8k-0, gsm8k (test, 500 by hash), broken 1: 0",
    ]
    assert list(collection.list_samples(answered, ["gsm8k-0"])) == lines[2:]
    assert collection.collect_evidence(answered)["samples"] == lines[2:]  # no seed is chosen


def test_what_z_learnt_by_layer_and_by_index():
    first, second = [1.0] * 8, [1.0] * 7 + [3.0]
    found = describe_scales(
        [make_expert("one", first, second), make_expert("two", second, second)]
    )
    one, two = found["experts"]["one"], found["experts"]["two"]
    assert (one["by_layer"], two["by_layer"]) == ([0.0, 0.25], [0.25, 0.25])
    assert one["by_index"] == [0.0] * 7 + [1.0]
    assert one["norm"] == 2.0
    assert found["cosines"][0][1] == pytest.approx(0.5**0.5, abs=1e-4)
    wide = make_expert("wide", [2.0] * 64 + [1.5] * 192 + [1.0] * 640)
    kept = describe_scales([wide])["experts"]["wide"]["kept"]
    assert kept == {"64": pytest.approx(64 / 112, abs=1e-3), "256": 1.0}


def test_a_trial_changes_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "choose_jobs", lambda parts: [])
    monkeypatch.setattr(runner, "EVIDENCE", tmp_path / "results" / "evidence.json")
    list(runner.measure_evidence(tmp_path / "runs", "tiny", (), Extent(problems=3)))
    assert not runner.EVIDENCE.exists()
    assert (tmp_path / "runs/trial-3-None/evidence.json").exists()
    list(runner.measure_evidence(tmp_path / "runs", "tiny", (), Extent(hours=0)))
    assert json.loads(runner.EVIDENCE.read_text())["rows"] == []


def test_no_job_is_begun_when_the_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "EVIDENCE", tmp_path / "evidence.json")
    lines = list(runner.measure_evidence(tmp_path, "tiny", (), Extent(hours=0)))
    assert [line.partition(":")[2] for line in lines] == [" 0 jobs are finished"]


def test_a_machine_is_called_by_its_gpu_where_that_computes(monkeypatch):
    assert "CPU cores" in describe_machine().split(",")[0]
    monkeypatch.setattr(mx, "default_device", lambda: "gpu")
    monkeypatch.setattr(mx, "device_info", lambda: {"device_name": "NVIDIA H200"})
    assert describe_machine().startswith("NVIDIA H200, ")
