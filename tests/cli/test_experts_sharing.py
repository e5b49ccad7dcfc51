"""`t2 experts push` and `pull`, through a hub on loopback and without a network."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stub_hub import running_hub

from mlx_t2.experts import Expert, Library


@pytest.fixture
def own(experts, tmp_path) -> Path:
    """A folder of alpha, which has nothing private, and secret, which has."""
    alpha = Expert.load(experts / "alpha.safetensors")
    alpha.save(tmp_path / "own" / "alpha.safetensors")
    prompt = [
        {"role": "user", "content": "my question"},
        {"role": "assistant", "content": "so"},
    ]
    config = {"prompt": prompt, "task_file": "/home/me/mine.yaml"}
    replace(alpha, config=config).save(tmp_path / "own" / "secret.safetensors")
    return tmp_path / "own"


def test_pushed_and_pulled_through_a_hub_it_is_the_same_file(own, tmp_path):
    with running_hub() as hub:
        pushed = run(hub, tmp_path, "push alpha me/alpha --json", own)
        assert json.loads(pushed.stdout)["files"] == ["README.md", "alpha.safetensors"]
        pulled = run(hub, tmp_path, "pull me/alpha --json")
    found = json.loads(pulled.stdout)
    assert found["source"] == f"me/alpha@{hub.commit_of('me/alpha')}"
    assert Path(found["path"]).read_bytes() == (own / "alpha.safetensors").read_bytes()
    assert pushed.stderr == pulled.stderr == ""


def run(hub, folder: Path, words: str, own: Path | None = None) -> subprocess.CompletedProcess:
    variables = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "hf"), "HF_TOKEN": "hf_x"}
    variables |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    line = [sys.executable, "-m", "mlx_t2_cli", "experts", *words.split()]
    line += ["--base-model", "org/tiny"] if own else []
    line += ["--experts", str(own)] if own else []
    ran = subprocess.run(line, env=os.environ | variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.mark.parametrize("name", ["given.tar.gz", "given"])
def test_handed_on_without_a_network_it_is_the_same_file(t2, own, tmp_path, name):
    line = f"experts push alpha --to {tmp_path / name} --experts {own}"
    pushed = t2(line)
    assert pushed.stdout == f"alpha: {tmp_path / name}\n"
    assert "the card links no base model; --base-model names it on the hub" in pushed.said
    pulled = t2(f"experts pull {tmp_path / name} --name given")
    assert pulled.stdout == f"given: {Library().own}/given.safetensors\n"
    assert f"from {tmp_path / name}" in pulled.said
    assert "`auto` does not know it yet" in pulled.said
    assert (Library().own / "given.safetensors").read_bytes() == (
        own / "alpha.safetensors"
    ).read_bytes()
    t2("experts rename given renamed")
    shown = t2("experts show renamed --json").result
    assert shown["source"] == str(tmp_path / name)
    assert t2(f"experts pull {tmp_path / name}").code == 0


def test_texts_of_its_maker_are_shown_and_asked_about(t2, own, tmp_path):
    line = f"experts push secret --to {tmp_path / 'a.tar.gz'} --experts {own}"
    ran = t2(line)
    assert ran.code == 2
    assert "its file has 2 questions and answers, which everybody could read:" in ran.said
    assert "'my question' 'so'" in ran.said
    assert "left out: the path of its task file" in ran.said
    assert "--no-examples leaves them out" in ran.said
    assert not (tmp_path / "a.tar.gz").exists()
    assert t2(f"{line} --yes").code == 0
    bare = t2(f"{line.replace('a.tar.gz', 'b')} --no-examples")
    assert (bare.code, "worked examples of its prompt" in bare.said) == (0, True)
    shared = (tmp_path / "b" / "secret.safetensors").read_bytes()
    assert b"my question" not in shared
    assert b"/home/me" not in shared
    assert "my question" not in (tmp_path / "b" / "README.md").read_text()


def test_the_card_is_shown_and_nothing_is_shared(t2, own):
    ran = t2(f"experts push secret --card --no-examples --license mit --experts {own}")
    assert ran.stdout.startswith("---\nlibrary_name: mlx_t2\n")
    assert "license: mit" in ran.stdout
    assert "t2 experts pull OWNER/NAME" in ran.stdout


def test_answers_of_an_evaluation_are_paired_on_the_card(t2, own, place):
    flags = f"--model tiny --expert alpha --experts {own} --limit 4 --compare"
    t2(f"eval largest {flags} --out answers.jsonl")
    card = t2(f"experts push alpha --card --eval answers.jsonl --experts {own}").stdout
    assert "| largest | test | 4 | " in card
    assert "not paired" not in card
    for name in ("answers.jsonl", "answers.base.jsonl"):
        (place / name).unlink()


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("push alpha", 2, "expected a repository, OWNER/NAME, or a place: --to"),
        ("push alpha me/alpha --to x", 2, "expected a repository, OWNER/NAME, or a place"),
        ("push nobody --to x", 1, "expert 'nobody': unknown"),
        ("push alpha --to taken", 1, "taken: got a file, expected a folder"),
        ("push alpha --to x --eval gone.jsonl", 1, "gone.base.jsonl: got no file"),
        ("push alpha me/alpha", 1, "me/alpha: "),
        ("pull ./nowhere", 1, "nowhere: no such folder or archive"),
        ("pull taken", 1, "taken: cannot be read as an archive"),
        ("pull tiny", 1, "tiny: model.safetensors: got a safetensors file of"),
        ("pull ./tiny --revision x", 2, "--revision: a folder or an archive has none"),
        ("pull 'a b/c'", 1, "a b/c: not an id of the hub, expected OWNER/NAME"),
        ("pull me/alpha", 1, "me/alpha: the hub cannot be asked (HF_HUB_OFFLINE is set)"),
    ],
)
def test_what_is_refused_is_said_in_one_line(t2, own, line, code, text):
    ran = t2(f"experts {line} --experts {own}")
    assert (ran.code, ran.stdout) == (code, "")
    assert text in ran.said
    assert "Traceback" not in ran.stderr
    assert {path.name for path in own.iterdir()} == {"alpha.safetensors", "secret.safetensors"}


def test_a_name_that_is_taken_is_asked_about_before_it_is_replaced(t2, own, experts, tmp_path):
    t2(f"experts push alpha --to {tmp_path / 'a.tar.gz'} --experts {own}")
    target = Path(shutil.copytree(experts, tmp_path / "target"))
    line = f"experts pull {tmp_path / 'a.tar.gz'} --name beta --experts {target}"
    before = (target / "beta.safetensors").read_bytes()
    assert t2(line).code == 2
    assert (target / "beta.safetensors").read_bytes() == before
    assert t2(f"{line} --yes").code == 0
    assert (target / "beta.safetensors").read_bytes() != before
