"""`t2 train --add`: from rows of one's own to an expert that is chosen by itself."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlx_t2_cli.train_add import add_to_library, prefer_kind

from mlx_t2.adaptation import choose_kind, is_known, known
from mlx_t2.experts import Expert, Library
from mlx_t2.routing import RouterNames, examples

pytestmark = pytest.mark.whole_runs
TRAIN = "--model tiny --steps 1 --prompts 2 --group 2 --validation 2 --test 2 --no-probe"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Examples enough for a tiny model."""
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    monkeypatch.setattr(examples, "_MOST", {"train": (12, 60, 0), "validation": (8, 50, 0)})


@pytest.fixture
def folder(place, tmp_path) -> Path:
    """A copy of the place, with rows of somebody's own."""
    copy = Path(shutil.copytree(place, tmp_path / "place"))
    words = ["red", "green", "blue"]
    rows = [{"prompt": f"colour {i} of {w}", "answer": w} for i in range(20) for w in words]
    (copy / "colours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return copy


def test_own_rows_become_an_expert_that_generate_and_chat_choose_from(t2, folder):
    line = f"train colours.jsonl {TRAIN} --max-tokens 4 --out made --add colours --json"
    trained = t2(line, folder=folder).result
    added = trained["added"]
    assert added.keys() == {
        *("name", "path", "is_known", "router", "recall", "adapted", "ordinary"),
    }
    assert added["is_known"]
    assert (folder / "made/expert.safetensors").read_bytes() == Path(added["path"]).read_bytes()
    assert Path(added["router"]) == Library().own / "router.safetensors"
    shown = t2("router show --model tiny --json", folder=folder).result
    assert shown["labels"] == ["colours", "other"]
    listed = t2("experts --json", folder=folder).result["experts"]
    assert [e["is_known"] for e in listed if e["name"] == "colours"] == [True]
    asked = "generate 'colour 3 of red' --model tiny --adapt auto --max-tokens 3 --json"
    assert t2(asked, folder=folder).result["route"]["strategy"] == "auto"
    talk = t2("chat --model tiny --max-tokens 3", "colour 3 of red\n/why\n", folder=folder)
    assert "colours" in talk.stdout
    renewed = t2(line.replace("--out made", "--resume --out made"), folder=folder)
    assert renewed.code == 0


def test_a_new_expert_acts_on_what_those_do_that_auto_chooses_from(
    experts, folder, monkeypatch
):
    base = Expert.load(experts / "alpha.safetensors")
    library = Library()
    for name, kind in (("one", "answer"), ("two", "answer"), ("three", "all")):
        replace(base, name=name, acts_on=kind).save(library.own / f"{name}.safetensors")
    (library.own / "router.safetensors").touch()
    names = RouterNames(
        base_model="tiny",
        base_fingerprint=base.base_fingerprint,
        labels=("one", "two", "three", "other"),
        tasks={},
    )
    own, foreign = (
        SimpleNamespace(name="a-folder", fingerprint=lambda targets, f=fingerprint: f)
        for fingerprint in (base.base_fingerprint, "another")
    )
    assert prefer_kind(own) == {}
    monkeypatch.setattr(known, "names_in", lambda _: names)
    assert prefer_kind(own) == {"acts_on": "answer"}
    assert prefer_kind(foreign) == {}
    found = {expert.name: is_known(library, expert) for expert, _ in library.experts()}
    assert {n: found[n] for n in ("one", "two", "three")} == {
        "one": True,
        "two": True,
        "three": False,
    }
    assert choose_kind([]) == "answer"

    run = folder / "run3"
    replace(base, name="four", acts_on="all").save(run / "expert.safetensors")
    trained = (SimpleNamespace(metrics={}), "place", ())
    monkeypatch.setattr("mlx_t2_cli.train_add.train_with_bar", lambda *_: trained)
    added = add_to_library(own, "four", run)
    assert (added["is_known"], added["why"]) == (
        False,
        "it chooses from experts of one kind; --acts-on answer",
    )


@pytest.mark.parametrize(("flag", "kind"), [("", "answer"), (" --acts-on all", "all")])
def test_it_is_trained_as_auto_would_have_it_unless_told_otherwise(
    t2, folder, monkeypatch, flag, kind
):
    monkeypatch.setattr("mlx_t2_cli.train.prefer_kind", lambda model: {"acts_on": "answer"})
    ran = t2(
        f"train colours.jsonl {TRAIN} --out made --add colours --json{flag}", folder=folder
    )
    assert ran.code == 0
    assert Expert.load(folder / "made/expert.safetensors").acts_on == kind


def test_people_are_told_what_was_added_and_what_goes_on_from_there(t2, folder):
    ran = t2(
        f"train colours.jsonl {TRAIN} --max-tokens 4 --out made --add colours", folder=folder
    )
    assert f"added as colours: {Library().own}/colours.safetensors" in ran.stdout
    assert "of its validation questions go to it, and 0 of 58 ordinary requests" in ran.stdout
    assert "t2 chat --model tiny t2 generate --adapt auto --model tiny" in ran.said
    assert "t2 eval colours.jsonl --max-tokens 4 --expert colours --model tiny" in ran.said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("auto", "expert: got the name 'auto'"),
        ("a/b", "expert: got the name 'a/b'"),
        ("largest", "--add: got 'largest', another expert is called so"),
        ("mine", "a name that is free. It goes away with: t2 experts remove mine"),
    ],
)
def test_a_name_that_will_not_do_is_known_before_anything_is_trained(
    t2, folder, experts, name, text
):
    t2("experts add experts/alpha.safetensors --name mine")
    ran = t2(f"train colours.jsonl {TRAIN} --out made --add {name}", folder=folder)
    assert ran.code == 1
    assert text in ran.said
    assert not (folder / "made").exists()
    assert Library().find("mine").digest == Expert.load(experts / "alpha.safetensors").digest


def test_an_expert_whose_questions_another_answers_is_added_and_said_to_be_unknown(t2, folder):
    for name in ("first", "second"):
        ran = t2(f"train largest {TRAIN} --out {name} --add {name}", folder=folder)
        assert ran.code == 0
    unknown = "`auto` does not know it; --expert second wears it: expert 'second': got the task"
    assert unknown in ran.said
    assert Library().find("second").task == "largest"
