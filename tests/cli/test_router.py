"""`t2 router` on a tiny model with two toy experts, and who reads what it writes."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mlx_t2.experts import Expert
from mlx_t2.routing import examples

pytestmark = pytest.mark.whole_runs
ROUTER = "router --model tiny --experts routed"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Examples enough for a tiny model."""
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    monkeypatch.setattr(examples, "_MOST", {"train": (12, 60, 0), "validation": (8, 50, 0)})


@pytest.fixture
def folder(place, experts):
    """Two experts of unlike tasks, and one of a task that is not at hand."""
    folder = place / "routed"
    alpha, beta = (Expert.load(experts / f"{name}.safetensors") for name in ("alpha", "beta"))
    alpha.save(folder / "alpha.safetensors")
    replace(beta, task="kind").save(folder / "beta.safetensors")
    replace(beta, task="riddles").save(folder / "gamma.safetensors")
    yield folder
    shutil.rmtree(folder)


def test_a_router_is_trained_and_says_what_it_knows(t2, folder):
    found = t2(f"{ROUTER} --json").result
    assert found.keys() >= {"labels", "threshold", "accuracy", "adapted_ordinary", "router"}
    assert found["labels"] == ["alpha", "beta", "other"]
    assert found["router"] == "routed/router.safetensors"
    assert (found["adapted"], found["ordinary"], found["adapted_ordinary"]) == (0, 58, 0)
    assert 0 == found["interval"][0] < found["interval"][1] < 0.1
    assert found["recall"].keys() == {"alpha", "beta"}
    assert 0.5 < found["threshold"] < 1
    (unknown,) = found["unknown"]
    assert unknown["name"] == "gamma"
    assert "unknown name 'riddles'" in unknown["why"]
    assert (folder / "router.safetensors").is_file()


def test_what_it_shows_people(t2, folder):
    ran = t2(ROUTER)
    assert re.search(r"alpha\s+│ largest\s+│ \d+\.\d %", ran.stdout)
    assert re.search(r"ordinary requests adapted\s+0 of 58: 0.0 %, 95 % interval", ran.stdout)
    assert re.search(r"threshold\s+0\.\d", ran.stdout)
    assert "passed over: expert 'gamma'" in ran.said


def test_show_says_the_same_and_which_experts_it_does_not_know(t2, folder):
    made = t2(f"{ROUTER} --json").result
    shown = t2("router show --model tiny --experts routed --json").result
    for key in ("labels", "threshold", "accuracy", "adapted_ordinary", "router", "recall"):
        assert shown[key] == made[key]
    (unknown,) = shown["unknown"]
    assert unknown["why"] == (
        "expert 'gamma': the router knows alpha, beta, other. Wear it by name (--expert), or "
        "train a router that knows it: t2 router"
    )


def test_a_file_elsewhere_is_written_and_read(t2, folder, place):
    assert t2(f"{ROUTER} --out mine.safetensors --json").result["router"] == "mine.safetensors"
    assert not (folder / "router.safetensors").exists()
    flags = "--model tiny --experts routed --adapt auto --max-tokens 3"
    assert t2(f"generate hello {flags} --router mine.safetensors").code == 0
    chosen = t2(f"generate hello {flags} --router mine.safetensors --json").result["route"]
    assert chosen["strategy"] == "auto"
    assert 0 <= chosen["confidence"] <= 1
    assert t2(f"generate hello {flags}").code == 1
    shown = t2("router show --model tiny --experts routed --router mine.safetensors --json")
    assert shown.result["router"] == "mine.safetensors"
    line = "chat --model tiny --experts routed --router mine.safetensors --max-tokens 3"
    assert re.search(
        r"asked for auto router mine\.safetensors; .* worn the base model",
        " ".join(t2(line, "hi\n/why\n").stdout.split()),
    )
    assert t2(f"eval kind --limit 2 {flags[:-15]} --router mine.safetensors --json").code == 0
    (place / "mine.safetensors").unlink()


def test_the_route_and_its_confidence_are_shown_with_the_answer(t2, folder):
    t2(ROUTER)
    ran = t2("generate hello --model tiny --experts routed --adapt auto --max-tokens 3")
    assert re.search(r"auto: (alpha|beta|other) \(\d\.\d\d\), first pass \d+ ms", ran.said)
    assert "passed over: expert 'gamma': the router knows alpha, beta, other" in ran.said


def test_a_bundled_expert_that_is_worn_by_name_is_told_in_show_alone(t2, folder, monkeypatch):
    """Whoever asks a question did not put it there."""
    t2(ROUTER)
    monkeypatch.setattr("mlx_t2.experts.library.BUNDLED", Path("routed"))
    for adapt in ("auto", "sum"):
        flags = f"--experts routed --adapt {adapt} --max-tokens 3"
        assert "passed over" not in t2(f"generate hello --model tiny {flags}").said
    assert "passed over" in t2("router show --model tiny --experts routed").said


def test_off_is_the_base_model_and_the_default(t2, folder):
    plain = t2("generate hello --model tiny --max-tokens 5 --json").result
    for off in ("off", "none"):
        told = t2(f"generate hello --model tiny --max-tokens 5 --adapt {off} --json").result
        assert told["text"] == plain["text"]
        assert told["route"]["strategy"] == "none"
    assert (plain["route"]["confidence"], plain["route"]["label"]) == (None, None)


@pytest.mark.parametrize("every", ["first", "turn"])
def test_a_chat_chooses_at_the_first_turn_or_at_each(t2, folder, every):
    t2(ROUTER)
    line = f"chat --model tiny --experts routed --adapt auto --adapt-every {every}"
    shown = t2(f"{line} --max-tokens 3", "hello\n/why\nand 3, 8\n/why\n").stdout
    scores = re.findall(r"alpha\s+(0\.\d+)", shown)
    assert len(scores) == 2
    assert (scores[0] == scores[1]) == (every == "first")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("router --model other --experts routed", 1, "no expert of other with a task"),
        ("router --experts nowhere --model tiny", 1, "nowhere: no such folder"),
        ("router --out taken/router.safetensors", 1, "taken"),
        ("router show --model tiny --experts routed", 1, "t2 router makes one"),
        ("router --seed 3 show", 2, "options go after the subcommand"),
        ("router --out ''", 2, "--out: got ''"),
        (
            "generate hi --router x.safetensors",
            2,
            "--router: got --adapt off, expected one of",
        ),
        ("generate hi --adapt sum --router x", 2, "--router: got --adapt sum"),
        ("generate hi --adapt auto --router ''", 2, "--router: got ''"),
        ("generate hi --adapt best", 2, "--adapt: got 'best', expected one of auto, prompt"),
        ("chat --adapt-every hour", 2, "hour"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(t2, folder, line, code, text):
    ran = t2(line if "--model" in line else f"{line} --model tiny --experts routed")
    assert (ran.code, ran.stdout) == (code, "")
    assert text in ran.said
    assert "Traceback" not in ran.stderr
