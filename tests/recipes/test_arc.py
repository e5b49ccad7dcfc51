"""The study of ARC: its rows from answers on disk, and the prompt without a template."""

import json
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from helpers import tiny_network, tiny_tokenizer
from option_task import PickZ

from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, decompose
from mlx_t2.recipes import arc
from mlx_t2.recipes.results_page import arc_section

IDS = [f"q{i}" for i in range(20)]


@pytest.fixture
def runs(tmp_path):
    """Of 20 problems the base answers 5 rightly, seed s 12 + s, in the chat alone. Seed 1 is
    best on validation.
    """
    (tmp_path / "answers").mkdir()
    right = {"base": 5} | {f"seed {seed}": 12 + seed for seed in arc.SEEDS}
    for task in arc.PARTS:
        for form, names in arc.FORMS.items():
            for name in names:
                answers = {one: i < right[name] for i, one in enumerate(IDS)}
                path = tmp_path / "answers" / f"{name.replace(' ', '-')}--{form}--{task}.json"
                path.write_text(json.dumps(answers))
    for seed, best in zip(arc.SEEDS, (0.5, 0.6, 0.4), strict=True):
        folder = tmp_path / f"arc-easy-{seed}"
        folder.mkdir()
        Expert(
            name="arc-easy",
            scales={"model.layers.0.mlp.up_proj": mx.full((3,), 1.0 + seed)},
            base_model="tiny",
            base_fingerprint="0" * 64,
            targets="mlp",
            rank=None,
            task="arc-easy",
            seed=seed,
            config={},
            metrics={"base_validation": 0.3, "best_validation": best},
        ).save(folder / "expert.safetensors")
        (folder / "finished").write_text("abc1234")
    return tmp_path


def test_every_row_has_its_count_its_interval_and_its_pairs(runs):
    found = arc.collect(runs)
    rows = {(row["task"], row["form"], row["name"]): row for row in found["rows"]}
    assert len(rows) == len(found["rows"]) == 2 * (4 + 1)
    base, own = (rows["arc-easy", "chat", name] for name in ("base", "seed 2"))
    assert (base["correct"], base["n"], base["split"]) == (5, 20, "test")
    assert rows["arc-challenge", "chat", "base"]["split"] == "all"
    assert "against" not in base
    assert own["against"]["chat"] == {"fixed": 9, "broken": 0, "p": 2 / 2**9}
    assert own["against"]["plain"] == own["against"]["chat"]
    assert own["interval"] == pytest.approx([0.481, 0.855], abs=1e-3)  # Wilson of 14 in 20
    assert found["chosen"] == 1
    assert found["validation"] == {"0": [0.3, 0.5], "1": [0.3, 0.6], "2": [0.3, 0.4]}


def test_it_holds_only_where_every_seed_is_clearly_better(runs):
    assert not arc.collect(runs)["holds"]  # 7 of 7: p = 0.016
    for seed in arc.SEEDS:
        better = {one: i < 13 + seed for i, one in enumerate(IDS)}
        path = runs / "answers" / f"seed-{seed}--chat--arc-easy.json"
        path.write_text(json.dumps(better))
    assert arc.collect(runs)["holds"]
    worse = dict.fromkeys(IDS, False)
    (runs / "answers" / "base--chat--arc-easy.json").write_text(
        json.dumps(dict.fromkeys(IDS, True))
    )
    (runs / "answers" / "seed-0--chat--arc-easy.json").write_text(json.dumps(worse))
    assert not arc.collect(runs)["holds"]


def test_the_section_shows_what_was_found(runs):
    found = arc.collect(runs)
    text = arc_section(found)
    assert f"trained at commit abc1234, answered at {found['commit']}" in text
    lines = text.splitlines()
    seeds = "60.0 (39-78) | **65.0** (43-82) | 70.0 (48-85)"
    assert f"| arc-easy (test) | chat | 20 | 25.0 (11-47) | {seeds} |" in lines
    plain = "| arc-challenge (all) | plain | 20 | 25.0 (11-47) | – | – | – |"
    assert plain in lines
    assert "| arc-easy | seed 1 | chat | plain | 8 | 0 | 0.008 |" in lines


def test_the_chosen_expert_is_shipped_with_its_test_results(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(arc, "BUNDLED", tmp_path)
    (tmp_path / arc.MODEL).mkdir()
    arc._ship(runs, arc.collect(runs))
    expert = Expert.load(tmp_path / arc.MODEL / "arc-easy.safetensors")
    assert expert.seed == 1
    assert expert.metrics == {
        "base_validation": 0.3,
        "best_validation": 0.6,
        "base_accuracy": 0.25,
        "final_accuracy": 0.65,
        "n_eval": 20,
    }


def test_the_plain_form_scores_options_behind_question_and_answer():
    model = decompose(SVFModel("tiny", tiny_network(), tiny_tokenizer()))
    task = PickZ()
    problems = [
        replace(one, messages=({"role": "user", "content": f"which {i}?"},))
        for i, one in enumerate(task.problems("test", 6))
    ]
    answers = arc._answer_plainly(model, task, problems, None)
    for i, problem in enumerate(problems):
        head = model.tokenizer.encode(
            f"Question: which {i}?\nAnswer:", add_special_tokens=False
        )
        means = []
        for option in problem.options:
            tail = model.tokenizer.encode(f" {option}", add_special_tokens=False)
            logits = model.network(mx.array([[*head, *tail]]))[0, len(head) - 1 : -1]
            logs = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
            means.append(np.mean([logs[t, token] for t, token in enumerate(tail)]))
        assert answers[problem.id] == ("z" in problem.options[int(np.argmax(means))])
