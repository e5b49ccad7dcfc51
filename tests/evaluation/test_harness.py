"""lm-evaluation-harness asks the adapted model; where it is not installed, one line says so."""

import json
import sys
from types import SimpleNamespace

import mlx.core as mx
import pytest
from even_length import ByQuestion, Everywhere

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.evaluation import run_harness


def test_without_the_package_one_line_says_how_to_get_it(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ConfigError, match=r"not installed .*pip install 'mlx_t2\[harness\]'"):
        run_harness(tiny_model, Fixed.base(), "arc_easy")


def test_scales_that_change_with_the_request_are_refused(tiny_model):
    with pytest.raises(ConfigError, match="expected scales that are the same for all requests"):
        run_harness(tiny_model, ByQuestion(tiny_model, 2), "arc_easy")


def test_a_file_that_is_not_there_is_named(tiny_model):
    with pytest.raises(TaskDataError, match=r"gone\.yaml: no such file"):
        run_harness(tiny_model, Fixed.base(), "gone.yaml")


def request(*args):
    return SimpleNamespace(args=args)


@pytest.fixture
def asked(tiny_model):
    pytest.importorskip("lm_eval")
    from mlx_t2.evaluation.harness_model import HarnessModel

    return HarnessModel(tiny_model)


def plain_score(model, context, continuation):
    """The plain way: one forward pass over both."""
    tokens = [*context, *continuation]
    logits = model.network(mx.array([tokens[:-1]]))[0]
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    at = range(len(context) - 1, len(tokens) - 1)
    score = sum(logprobs[i, token].item() for i, token in zip(at, continuation, strict=True))
    is_greedy = all(
        mx.argmax(logits[i]).item() == token for i, token in zip(at, continuation, strict=True)
    )
    return score, is_greedy


def test_scores_are_those_of_one_pass_under_the_scales_that_are_worn(tiny_model, asked):
    pairs = [("abc", " d"), ("abc", " ef"), ("q", "xyz"), ("abc", " d")]
    base = asked.loglikelihood([request(*pair) for pair in pairs], disable_tqdm=True)
    with tiny_model.using(Everywhere(tiny_model).scales):
        worn = asked.loglikelihood([request(*pair) for pair in pairs], disable_tqdm=True)
        expected = [plain_score(tiny_model, *asked._encode_pair(*pair)) for pair in pairs]
    for got, wanted in zip(worn, expected, strict=True):
        assert got[0] == pytest.approx(wanted[0], rel=1e-4)
        assert got[1] == wanted[1]
    assert base[0] == base[3]
    assert base[0][0] != pytest.approx(worn[0][0], rel=1e-3)


def test_answers_are_cut_at_what_ends_them(tiny_model, asked):
    settings = {"until": [], "max_gen_toks": 6}
    (whole,) = asked.generate_until([request("abc", settings)])
    assert whole
    end = whole[len(whole) // 2]
    (cut,) = asked.generate_until([request("abc", {**settings, "until": [end]})])
    assert cut == whole[: whole.index(end)]


def test_a_whole_text_is_scored_from_its_first_token(tiny_model, asked):
    (score,) = asked.loglikelihood_rolling([request("hello")])
    tokens = asked.tok_encode("hello")
    expected, _ = plain_score(tiny_model, [asked.eot_token_id], tokens)
    assert score == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_local_task_is_run(tiny_model, tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    rows = [{"q": f"{i}?", "options": ["aa", "b"], "gold": i % 2} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(
        f"""task: two_options
dataset_path: json
dataset_kwargs:
  data_files:
    test: {tmp_path}/rows.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_target: gold
doc_to_choice: options
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
    )
    found = run_harness(tiny_model, Fixed.base(), str(tmp_path / "task.yaml"), limit=4)
    assert found["two_options"]["n"] == 4
    assert 0 <= found["two_options"]["acc,none"] <= 1
    (tmp_path / "broken.yaml").write_text("task: broken\n")
    with pytest.raises(TaskDataError, match=r"broken\.yaml: lm-evaluation-harness cannot run"):
        run_harness(tiny_model, Fixed.base(), str(tmp_path / "broken.yaml"))
