"""`t2 export`, as it is typed."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import mlx_lm
import pytest

FROM = "--experts experts --model tiny"
FORMS = ("fused --bits 32", "full", "lora --rank 32")


@pytest.mark.parametrize("form", FORMS)
def test_mlx_lm_reads_an_export_and_writes_what_t2_writes(t2, experts, place, tmp_path, form):
    ran = t2(
        f"export alpha --experts experts --model tiny --to {form} --out {tmp_path}/out --json"
    )
    result = ran.result
    assert result["path"] == f"{tmp_path}/out"
    assert result["to"] == form.split()[0]
    assert min(result["share"], result["correlation"], result["logit_share"]) > 0.999
    assert result["largest_logit_difference"] < 1e-2 * result["largest_logit_change"]
    base, adapter = str(place / "tiny"), f"{tmp_path}/out"
    paths = (adapter, None) if form.startswith("fused") else (base, adapter)
    network, tokenizer = mlx_lm.load(paths[0], adapter_path=paths[1])
    messages = [{"role": "user", "content": "3, 8, 5"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    text = mlx_lm.generate(network, tokenizer, ids, max_tokens=8)
    question = "generate '3, 8, 5' --no-stdin --model tiny --max-tokens 8"
    worn = t2(f"{question} --experts experts --expert alpha --json").result["text"]
    assert text == worn != t2(f"{question} --json").result["text"]


def test_what_is_kept_and_how_it_is_read_is_said(t2, experts, tmp_path):
    ran = t2(
        f"export alpha --experts experts --model tiny --to lora --rank 32 --out {tmp_path}/o"
    )
    first, ranks, weights, logits = ran.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/o: 0.")
    assert ranks == "rank      32.0 on average, 32 at most"
    assert weights.startswith(
        "weights   share 1.000 and correlation 1.0000 of the change (least"
    )
    assert "largest difference" in logits
    assert f"mlx_lm.generate --model tiny --adapter-path {tmp_path}/o --prompt" in ran.said


def test_a_mixture_is_exported_in_every_form(t2, experts, tmp_path):
    mix = f"--mix alpha=0.6,beta=0.4 {FROM}"
    ran = t2(f"export {mix} --to full --out {tmp_path}/full --json")
    assert ran.result["expert"] == "alpha=0.6,beta=0.4"
    manifest = json.loads((tmp_path / "full" / "mlx_t2.json").read_text())
    assert manifest["coefficients"] == {"alpha": 0.6, "beta": 0.4}
    assert t2(f"export {mix} --out {tmp_path}/both.safetensors").code == 0
    shown = t2(f"experts show {tmp_path}/both.safetensors --json").result
    assert (shown["name"], shown["targets"]) == ("both", "mlp")
    assert shown["config"]["coefficients"] == {"alpha": 0.6, "beta": 0.4}
    question = "generate abc --no-stdin --model tiny --max-tokens 8 --json"
    one = t2(f"{question} --expert {tmp_path}/both.safetensors").result["text"]
    assert one == t2(f"{question} --experts experts --mix alpha=0.6,beta=0.4").result["text"]


def test_a_mixture_of_experts_on_unlike_layers_is_one_file(t2, unlike, tmp_path):
    mix = "--mix alpha=0.6,gamma=0.4 --experts unlike --model tiny"
    assert t2(f"export {mix} --out {tmp_path}").code == 0
    question = "generate abc --no-stdin --model tiny --max-tokens 8 --json"
    one = t2(f"{question} --expert {tmp_path}/mixture.safetensors").result["text"]
    assert one == t2(f"{question} --experts unlike --mix alpha=0.6,gamma=0.4").result["text"]


REFUSED = [
    ("export alpha --to gguf", 2, "--to: got 'gguf', expected safetensors, fused, full, lora"),
    ("export alpha --to beside", 2, "hand on safetensors, or lora for other programs"),
    ("export", 2, "give an expert, or a mixture with --mix; one of the two"),
    ("export alpha --mix beta=1", 2, "give an expert, or a mixture with --mix; one of the two"),
    ("export alpha --to lora --bits 8", 2, "--bits: is for --to fused, got --to lora"),
    ("export alpha --dequantize", 2, "--dequantize: is for --to fused, got --to safetensors"),
    ("export alpha --to full --rank 4", 2, "--rank: is for --to lora, got --to full"),
    ("export alpha --to lora --rank 4 --size 1", 2, "--rank and --size exclude each other"),
    ("export alpha --to fused --bits 4", 1, "bits: got 4, expected 32, 16 or 8"),
    ("export alpha --to fused --bits 8 --dequantize", 1, "bits: got 8, expected 32 or 16"),
    ("export alpha --to lora --rank 0", 1, "lora: rank: got 0.0, expected a number above 0"),
    ("export alpha --to lora --rank 1", 1, "lora: got share 0."),
    ("export alpha --to fused --model other", 1, "was trained on 'tiny'"),
    ("export nobody --to fused", 1, "expert 'nobody': unknown"),
    ("export --mix alpha --to fused", 1, "expected NAME=NUMBER"),
]


@pytest.mark.parametrize(("line", "code", "said"), REFUSED)
def test_what_is_refused_is_one_line_and_writes_nothing(
    t2, experts, tmp_path, line, code, said
):
    at = "" if "--model" in line else "--model tiny"
    ran = t2(f"{line} --experts experts {at} --out {tmp_path}/new/out")
    assert ran.code == code
    assert said in ran.said
    assert ran.stdout == ""
    assert not (tmp_path / "new" / "out").exists()
    assert not (tmp_path / "new").exists() or list((tmp_path / "new").iterdir()) == []


def test_an_export_that_is_there_is_replaced_on_demand_alone(t2, experts, tmp_path):
    line = f"{FROM} --to full --out {tmp_path}/out"
    assert t2(f"export alpha {line}").code == 0
    before = (tmp_path / "out" / "adapters.safetensors").read_bytes()
    ran = t2(f"export beta {line}")
    assert (ran.code, "an export is there, expected none" in ran.said) == (1, True)
    assert (tmp_path / "out" / "adapters.safetensors").read_bytes() == before
    assert t2(f"export beta {line} --overwrite").code == 0
    assert (tmp_path / "out" / "adapters.safetensors").read_bytes() != before


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("", 1), ("y\n", 0)])
def test_a_person_is_asked_whether_to_replace(t2, experts, tmp_path, monkeypatch, answer, code):
    line = f"{FROM} --to full --out {tmp_path}/out"
    assert t2(f"export alpha {line}").code == 0
    person = SimpleNamespace(stdin=Terminal(answer), stderr=io.StringIO())
    monkeypatch.setattr("mlx_t2_cli.export.sys", person)
    assert t2(f"export beta {line}").code == code
    asked = f"{tmp_path}/out: an export is there. Replace it? [y/N] "
    assert person.stderr.getvalue() == asked
    assert t2(f"export beta --experts experts --model tiny --out {tmp_path}/b").code == 0
    assert person.stderr.getvalue() == asked  # nothing is there: nobody is asked


@pytest.mark.slow  # a process per form, which imports all of mlx-lm
@pytest.mark.parametrize("form", FORMS)
def test_mlx_lm_generate_reads_an_export(t2, experts, place, tmp_path, form):
    out = f"{tmp_path}/out"
    assert t2(f"export alpha {FROM} --to {form} --out {out}").code == 0
    base = str(place / "tiny")
    where = ["--model", out] if form.startswith("fused") else ["--model", base]
    where += [] if form.startswith("fused") else ["--adapter-path", out]
    command = [sys.executable, "-m", "mlx_lm", "generate", *where, "--prompt", "3, 8, 5"]
    ran = subprocess.run(
        [*command, "--max-tokens", "8", "--temp", "0"],
        capture_output=True,
        text=True,
        check=True,
    )
    text = ran.stdout.split("=" * 10)[1].strip("\n")
    question = "generate '3, 8, 5' --no-stdin --model tiny --max-tokens 8"
    assert text == t2(f"{question} --experts experts --expert alpha --json").result["text"]
