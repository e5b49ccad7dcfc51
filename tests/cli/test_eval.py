"""`t2 eval` with samples, in a file that goes on, beside the base; `t2 compare`."""

import json

import pytest

EVAL = "eval kind --model tiny --limit 4"
WORN = "--expert alpha --experts experts"


def test_samples_are_reported_as_chances(t2):
    result = t2(f"{EVAL} --samples 3 --k 1,2 --json").result
    assert (result["n"], result["samples"], result["clusters"]) == (4, 3, 4)
    assert result["pass_at"].keys() == result["pass_at_interval"].keys() == {"1", "2"}
    told = t2(f"{EVAL} --samples 3").stdout
    assert "(0 of 12, 95 % interval" in told
    assert "pass@1: 0.0 %" in told
    assert "pass@3: 0.0 % (95 % interval 0-0 %, 3 samples)" in told


def test_the_words_off_and_auto_are_understood_as_in_generate(t2, experts):
    assert t2(f"{EVAL} --expert off --json").result["strategy"] == "none"
    ran = t2(f"{EVAL} --expert auto --experts experts")
    assert ran.code == 1
    assert "t2 router" in ran.said  # there is none yet; no expert called auto is looked for


def test_shares_of_form_are_told_apart(t2):
    told = " ".join(t2(EVAL).stdout.split())
    assert "in the form asked for: 0.0 %; whatever the form: 0.0 %; cut off at 5 tokens" in told
    assert "problems: generated" in told or "problems: " in told


def test_a_file_goes_on_and_refuses_another_evaluation(t2, experts, tmp_path):
    out = tmp_path / "answers.jsonl"
    assert t2(f"{EVAL} --out {out}").code == 0
    whole = out.read_text()
    out.write_text(whole[: len(whole) // 2])
    assert t2(f"{EVAL} --out {out}").code == 0
    assert out.read_text() == whole
    for flags, fault in (
        ("--seed 1", "with seed 0, expected 1. Name another --out"),
        (WORN, "with strategy 'none', expected 'expert:alpha'"),
        ("--samples 2", "with samples 1, temperature 0.0, expected 2, 1.0"),
    ):
        ran = t2(f"{EVAL} {flags} --out {out}")
        assert (ran.code, ran.stdout) == (1, "")
        assert fault in ran.said
    assert out.read_text() == whole
    line = json.loads(whole.splitlines()[0])
    assert (line["model"], line["strategy"], line["seed"]) == ("tiny", "none", 0)
    assert line["prompt"][-1]["content"] == line["question"]


def test_the_base_stands_beside_the_strategy(t2, experts, tmp_path):
    out = tmp_path / "answers.jsonl"
    result = t2(f"{EVAL} {WORN} --compare --out {out} --json").result
    assert result["base"]["strategy"] == "none"
    assert result["strategy"] == "expert:alpha"
    contract = {"n", "before", "after", "fixed", "broken", "p", "interval"}
    assert contract <= result["comparison"].keys()
    base = tmp_path / "answers.base.jsonl"
    again = t2(f"compare {base} {out} --json").result
    assert {k: again[k] for k in result["comparison"]} == result["comparison"]
    told = " ".join(t2(f"{EVAL} {WORN} --compare").stdout.split())
    assert "before: none" in told
    assert "after: expert:alpha: 0 of 4 verdicts changed" in told


def _flip(source, target, ids):
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    for i in ids:
        lines[i] |= {"is_right": True, "is_strict": True, "is_lenient": True}
    target.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_several_files_are_compared_with_the_first(t2, tmp_path):
    a, b, c = (tmp_path / f"{name}.jsonl" for name in "abc")
    t2(f"{EVAL} --out {a}")
    _flip(a, b, [0, 1, 2])
    _flip(a, c, [3])
    one = t2(f"compare {a} {b} --json").result
    assert (one["fixed"], one["broken"], one["p"], len(one["fixed_ids"])) == (3, 0, 0.25, 3)
    both = t2(f"compare {a} {b} {c} --json").result["comparisons"]
    assert [(x["p"], x["p_adjusted"]) for x in both] == [(0.25, 0.5), (1.0, 1.0)]
    told = t2(f"compare {a} {b} {c} --show 2").stdout
    assert "p, Holm" in told
    assert "fixed by b, the first 2 of 3:" in told
    assert max(map(len, told.splitlines())) <= 80 or "→" in told


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("a.jsonl gone.jsonl", "gone.jsonl: got no file, expected answers as `t2 eval --out`"),
        ("a.jsonl empty.jsonl", "empty.jsonl: got no line, expected answers"),
        ("a.jsonl text.jsonl", "text.jsonl: line 1: got 'hello', expected a JSON object"),
        ("a.jsonl short.jsonl", "compare: got 4 and 3 problems, 1 of them only once"),
        ("twice.jsonl a.jsonl", "compare: the first has 2 answers to"),
    ],
)
def test_what_cannot_be_compared_is_one_line(t2, tmp_path, words, fault):
    t2(f"{EVAL} --out {tmp_path}/a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
    for name, content in (
        ("empty", ""),
        ("text", "hello\n"),
        ("short", "".join(lines[:3])),
        ("twice", "".join([*lines, lines[0]])),
    ):
        (tmp_path / f"{name}.jsonl").write_text(content)
    ran = t2("compare " + " ".join(f"{tmp_path}/{word}" for word in words.split()))
    assert (ran.code, ran.stdout) == (1, "")
    assert fault in ran.said
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ("--k 1,2", "expected numbers from 1 to --samples, which is 1"),
        ("--k x --samples 4", "--k: got 'x', expected numbers from 1 to --samples"),
        ("--k 8 --samples 4", "--k: got '8', expected numbers from 1 to --samples"),
        ("--compare", "give one of these, and no --samples"),
        (f"--compare --samples 2 {WORN}", "give one of these, and no --samples"),
        ("--harness --compare", "--harness runs a task as that package has it"),
        ("--harness --grader number", "--split, --grader, --reward, --max-tokens or"),
        ("--harness --reward mine.py:earn", "--harness runs a task as that package has it"),
        ("--harness --max-tokens 9", "--harness runs a task as that package has it"),
        ("--harness --allow-unsandboxed", "--harness runs a task as that package has it"),
    ],
)
def test_flags_that_do_not_go_together_are_a_usage_error(t2, flags, fault):
    ran = t2(f"{EVAL} {flags}")
    assert ran.code == 2
    assert fault in ran.said


def test_samples_at_temperature_0_are_all_alike(t2):
    ran = t2(f"{EVAL} --samples 2 --temp 0")
    assert ran.code == 1
    assert "got 2 samples at temperature 0, expected more than 0" in ran.said
