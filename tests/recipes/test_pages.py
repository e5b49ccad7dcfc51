"""The two written pages, and the data they are written from."""

import json
import re

import pytest
from architectures import ARCHITECTURES, UNBUILT, tiny
from helpers import tiny_tokenizer

from mlx_t2.evaluation import wilson
from mlx_t2.experts import BUNDLED
from mlx_t2.models import SVFModel
from mlx_t2.reading import UNBATCHED, batching
from mlx_t2.recipes import MODELS, RESULTS, render_models, render_results
from mlx_t2.recipes.architectures import EQUAL_LENGTHS, KINDS, SINGLE_ROWS, UNTRIED
from mlx_t2.recipes.page import Page, join_table
from mlx_t2.recipes.results_page import DATA, study_section
from mlx_t2.recipes.study import SETTINGS
from mlx_t2.svf import REFUSED, UNTRAINABLE

NAMES = [name for kind in KINDS.values() for name in kind.split()]
BATCHED = {
    **dict.fromkeys(EQUAL_LENGTHS.split(), "equal"),
    **dict.fromkeys(SINGLE_ROWS, "single"),
}


@pytest.mark.parametrize(("page", "text"), [(MODELS, render_models), (RESULTS, render_results)])
def test_a_page_is_what_its_command_writes(page, text):
    assert page.path.read_text(encoding="utf-8") == text()


def test_a_page_without_one_of_its_tables_is_not_written(tmp_path):
    with pytest.raises(KeyError, match="kinds"):
        Page("models.md", tmp_path / "page.md").fill(count="1", exceptions="")


def test_a_table_is_markdown():
    assert join_table(("a", "b"), [("1", "2"), ("3", "")]) == (
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |  |"
    )


def test_every_result_has_its_source_and_its_interval():
    text = render_results()
    for row in json.loads((DATA / "accuracy.json").read_text(encoding="utf-8"))["rows"]:
        low, high = wilson(row["correct"], row["n"])
        cells = [
            f"{100 * row['correct'] / row['n']:.1f} ({100 * low:.0f}-{100 * high:.0f})",
            *(str(row["n"]), str(row["seed"]), f"`{row['command']}`", row["machine"]),
            row["commit"],
        ]
        assert f"| {row['model']} | {row['expert']} | {' | '.join(cells)} |" in text
    for path in BUNDLED.glob("*/results.json"):
        bundle = json.loads(path.read_text(encoding="utf-8"))
        assert (
            f"`{bundle['command']}` on {bundle['machine']}, commit {bundle['commit']}" in text
        )
        for row in (row for rows in bundle["seeds"].values() for row in rows.values()):
            assert row["interval"] == pytest.approx(wilson(row["correct"], row["n"]), abs=1e-4)


def test_every_recorded_setting_is_one_that_the_study_trains():
    study = json.loads((DATA / "study.json").read_text(encoding="utf-8"))
    recorded = {(setting["name"], setting["task"]) for setting in study["settings"]}
    assert recorded <= {(setting.name, setting.task) for setting in SETTINGS}


def test_a_setting_that_never_gained_30_points_says_so():
    seed = {"seed": 3, "base": 0.2, "correct": 50, "n": 100, "steps_to_30": None}
    setting = {"task": "kind", "name": "slow", "commit": "abc", "seeds": [seed]}
    study = {"command": "make study", "machine": "this one", "settings": [setting]}
    expected = "| kind | 20.0 | slow | 3: 50.0 (40-60) | – | never | abc |"
    assert study_section(study).splitlines()[-1] == expected


def test_the_models_page_names_every_architecture_that_is_tested_once():
    assert sorted(NAMES) == sorted(ARCHITECTURES.keys() - REFUSED.keys())
    assert UNTRIED.keys() == UNBUILT.keys() - REFUSED.keys()


def test_the_models_page_gives_every_exception_with_its_reason():
    cells = re.findall(r"^\| (\S+) \| ([a-z, ]+) \| (.+) \|$", render_models(), re.MULTILINE)
    reasons = {(name, why) for name, _, why in cells}
    assert reasons >= REFUSED.items() | UNTRAINABLE.items() | UNTRIED.items()
    assert {name for name, _ in reasons} >= BATCHED.keys()
    assert UNBATCHED.keys() <= BATCHED.keys()


@pytest.mark.parametrize(("name", "mode"), BATCHED.items())
def test_what_the_models_page_says_of_batches_the_model_itself_shows(name, mode):
    assert batching(SVFModel(name, tiny(name), tiny_tokenizer())).mode == mode
