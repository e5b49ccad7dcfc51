"""The card: what it says, and what it keeps back."""

import json

import pytest
import yaml

from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import GradedItem
from mlx_t2.experts import Expert, make_mixture
from mlx_t2.sharing import (
    Described,
    Measured,
    make_card,
    make_results,
    measure_pair,
    measured_by_training,
    own_texts,
    without_private,
)

PROMPT = [
    {"role": "system", "content": "Judge."},
    {"role": "user", "content": "my secret question"},
    {"role": "assistant", "content": "my secret answer"},
]


def header_of(card: str) -> dict:
    _, header, _ = card.split("---\n", 2)
    return yaml.safe_load(header)


def items(right: str, model="tiny", coefficients=None, task="largest", split="test"):
    """Answers to as many problems as there are letters, right where they are r."""
    return [
        GradedItem(
            *(f"q{i}", "?", "1", "2", 0.0, letter == "r", "", True, None),
            coefficients or {},
            *("number",),
            task=task,
            split=split,
            model=model,
        )
        for i, letter in enumerate(right)
    ]


def test_the_header_names_the_base_and_the_relation_and_what_was_measured(make_expert):
    expert = make_expert(config={"source": "openai/gsm8k (main), its own parts"}, task="gsm8k")
    said = Described(
        measured=measured_by_training(expert),
        base_repo="org/tiny-4bit",
        repo="me/digits",
        licence="apache-2.0",
    )
    header = header_of(make_card(expert, said))
    assert header["base_model"] == "org/tiny-4bit"
    assert header["base_model_relation"] == "adapter"
    assert (header["license"], header["datasets"]) == ("apache-2.0", ["openai/gsm8k"])
    assert {"mlx-t2", "svf", "base_model:adapter:org/tiny-4bit", "task:gsm8k"} <= {
        *header["tags"]
    }
    (index,) = header["model-index"]
    (result,) = index["results"]
    assert result["dataset"] == {"name": "gsm8k", "type": "openai/gsm8k", "split": "test"}
    assert result["metrics"][0]["value"] == 0.75
    assert "n=200" in result["metrics"][0]["name"]


def test_the_record_of_the_training_has_intervals_and_no_pairs(make_expert):
    (row,) = measured_by_training(make_expert())
    assert (row.before, row.after, row.n, row.p) == (0.25, 0.75, 200, None)
    assert row.before_interval == pytest.approx((0.195, 0.314), abs=1e-3)  # Wilson, by hand
    card = make_card(make_expert(), Described(measured=[row]))
    assert (
        "| largest | test | 200 | 25.0 % (19.5-31.4) | 75.0 % (68.6-80.5) | not paired |"
        in card
    )
    assert "Other tasks were not measured." in card


def test_answers_to_the_same_problems_are_paired(make_expert):
    worn = {"digits": 1.0}
    after = items("rrrrrrrrr.", coefficients=worn)
    row = measure_pair(make_expert(), items("...r......"), after)
    assert (row.before, row.after, row.n) == (0.1, 0.9, 10)
    assert row.p == pytest.approx(2 / 2**8)  # 8 fixed, none broken
    card = make_card(make_expert(), Described(measured=[row]))
    assert "| largest | test | 10 | 10.0 % (1.8-40.4) | 90.0 % (59.6-98.2) | 0.0078 |" in card


def test_what_got_worse_is_said(make_expert):
    worn = {"digits": 1.0}
    lost = measure_pair(
        make_expert(), items("rrrr", task="kind"), items("r...", task="kind", coefficients=worn)
    )
    said = make_card(make_expert(), Described(measured=[lost])).split("## What got worse")[1]
    assert said.startswith("\n\n- kind, test: accuracy: base 100.0 %")
    assert "paired p=0.25" in said.split("##")[0]
    assert "not measured" not in said.split("##")[0]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"model": "big"}, {"coefficients": {"a": 1.0}}, "before: got those of big, expected"),
        ({}, {"model": "big", "coefficients": {"a": 1.0}}, "after: got those of big"),
        ({}, {}, "after: expected answers of an expert"),
        (
            {"coefficients": {"a": 1.0}},
            {"coefficients": {"a": 1.0}},
            "before: expected answers of",
        ),
    ],
)
def test_answers_of_something_else_are_refused(make_expert, before, after, words):
    with pytest.raises(ConfigError, match=words):
        measure_pair(make_expert(), items("rr", **before), items("rr", **after))


def test_a_leaderboard_is_told_of_whole_test_parts_only(make_expert):
    def told(n, split="test", task="gsm8k"):
        row = Measured(task, split, n, 0.3, 0.4, (0.2, 0.4), (0.3, 0.5), 0.01)
        return yaml.safe_load(make_results(make_expert(), [row]) or "[]")

    (entry,) = told(1319)
    assert entry["dataset"] == {"id": "openai/gsm8k", "task_id": "gsm8k"}
    assert entry["value"] == 0.4
    assert "base 30.0 % (20.0-40.0)" in entry["notes"]
    assert "paired p=0.01" in entry["notes"]
    assert told(200) == told(1319, "validation") == told(1319, task="largest") == []


def test_it_is_used_in_three_lines_that_name_a_model_that_is_not_the_default(make_expert):
    said = Described(repo="me/digits", base_repo="org/tiny-4bit")
    use = make_card(make_expert(), said).split("## Use")[1].split("##")[0]
    lines = [line.strip() for line in use.splitlines() if line.strip()]
    assert lines == [
        "t2 experts pull me/digits",
        "t2 generate --expert digits --model org/tiny-4bit 'your question'",
        "t2 chat --expert digits --model org/tiny-4bit",
    ]
    default = make_card(make_expert(base_model="smollm2-135m"), said)
    assert "t2 chat --expert digits\n" in default


def test_nothing_that_is_not_known_is_claimed(make_expert):
    bare = make_card(make_expert(metrics={}, config={}, task=""), Described())
    header = header_of(bare)
    assert header.keys() == {"library_name", "pipeline_tag", "tags"}
    assert "## What was measured\n\nNothing." in bare
    assert "Its maker states none." in bare


def test_a_mixture_says_what_was_mixed(make_expert):
    mixed = make_mixture("both", [make_expert(1, name="a"), make_expert(2, name="b")], [0.6, 1])
    assert "0.6 · a, 1 · b" in make_card(mixed, Described())


def test_the_texts_of_its_maker_are_found_and_can_be_left_out(make_expert, tmp_path):
    expert = make_expert(config={"prompt": PROMPT, "task_file": "/home/me/mine.yaml", "lr": 1})
    content = with_metadata(expert, examples=json.dumps(["what I asked"]))
    assert own_texts(content) == ["what I asked", "my secret question", "my secret answer"]
    shared, left_out = without_private(content)
    assert left_out == ["the path of its task file"]
    assert b"/home/me" not in shared
    assert own_texts(shared) == own_texts(content)
    bare, left_out = without_private(content, with_examples=False)
    assert left_out == [
        "the path of its task file",
        "examples",
        "the worked examples of its prompt",
    ]
    assert own_texts(bare) == []
    assert b"secret" not in bare
    assert b"what I asked" not in bare
    for kept in (shared, bare):
        (tmp_path / "digits.safetensors").write_bytes(kept)
        read = Expert.load(tmp_path / "digits.safetensors")
        assert (read.digest, read.config["lr"]) == (expert.digest, 1)
    assert read.prompt == ({"role": "system", "content": "Judge."},)


def test_where_there_is_nothing_to_leave_out_the_bytes_are_the_same(make_expert):
    content = make_expert().to_bytes()
    assert without_private(content, with_examples=False) == (content, [])
    assert own_texts(content) == []


def with_metadata(expert: Expert, **more: str) -> bytes:
    """The expert's file with keys of a later version."""
    content = expert.to_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= more
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
