"""`t2 experts`: the shelf as people and scripts meet it."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx_t2_cli import asking

from mlx_t2.experts import Expert, Library
from mlx_t2.routing.head_file import write_head


@pytest.fixture
def own(experts, tmp_path) -> Path:
    """A folder of own experts, alpha and beta."""
    return Path(shutil.copytree(experts, tmp_path / "own"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_list_says_what_each_is_for_and_where_it_is_from(t2):
    found = {e["name"]: e for e in t2("experts --json").result["experts"]}
    largest = found["largest"]
    assert largest.keys() == {
        *("name", "task", "domain", "acts_on", "base_model", "path", "bytes", "metrics"),
        *("is_own", "is_known"),
    }
    assert (largest["task"], largest["domain"]) == ("largest-curriculum", "largest")
    assert (largest["is_own"], largest["is_known"]) == (False, True)
    assert largest["bytes"] == Path(largest["path"]).stat().st_size
    assert not found["arc-easy"]["is_known"]
    shown = t2("experts")
    assert (
        "│ largest    │ largest    │ answer  │ 0.0 → 98.3  │ 218 │ bundled │ yes"
        in shown.stdout
    )
    assert (
        "`auto` does not know arc-easy: wear it by name (--expert), or t2 router" in shown.said
    )


def test_an_empty_folder_says_how_to_fill_it(t2, tmp_path):
    assert "no experts in" in t2(f"experts --experts {tmp_path}").stdout


def test_a_router_knows_an_expert_of_its_model_by_the_task_it_was_trained_on(t2, own):
    alpha = Expert.load(own / "alpha.safetensors")
    for name, changes in (
        ("domain", {"task": "largest-both"}),
        ("changed", {"task": "kind"}),
        ("stranger", {"base_fingerprint": "ab" * 32}),
        ("attention", {"base_model": "elsewhere", "targets": "attention|mlp"}),
    ):
        replace(alpha, **changes).save(own / f"{name}.safetensors")
    labels = ("alpha", "attention", "changed", "domain", "stranger", "other")
    write_router(own, alpha, labels, dict.fromkeys(labels[:-1], "largest"))
    listed = t2(f"experts --experts {own} --json").result["experts"]
    known = {e["name"]: e["is_known"] for e in listed}
    assert known == {
        **{"alpha": True, "domain": True, "beta": False, "changed": False},
        **{"stranger": False, "attention": False},
    }


def write_router(folder: Path, expert: Expert, labels, tasks) -> None:
    """A router's file with these labels."""
    n = len(labels)
    tensors = {"weight": mx.zeros((n, 2)), "bias": mx.zeros(n)}
    tensors |= {"mean": mx.zeros(2), "scale": mx.ones(2)}
    fields = {"base_model": expert.base_model, "base_fingerprint": expert.base_fingerprint}
    fields |= {"labels": labels, "blocks": [], "threshold": 0.5, "tasks": tasks}
    write_head(folder / "router.safetensors", tensors, fields | {"metrics": {}})


def test_everything_a_file_says_is_shown(t2, own):
    found = t2(f"experts show alpha --experts {own} --json").result
    assert (found["name"], found["targets"], found["rank"]) == ("alpha", "mlp", "full")
    assert found["path"] == str(own / "alpha.safetensors")
    by_path = t2(f"experts show {own}/alpha.safetensors --json").result
    assert by_path["digest"] == found["digest"]
    assert "is_known" in t2(f"experts show alpha --experts {own}").stdout


def test_the_paths_are_said(t2, own):
    assert t2(f"experts path --experts {own}").stdout == f"{own}\n"
    found = t2(f"experts path alpha --experts {own} --json").result
    assert found == {"path": str(own / "alpha.safetensors")}
    assert t2("experts path").stdout == f"{Library().own}\n"


def test_a_run_or_a_file_is_added_and_worn_by_name(t2, trained, experts):
    added = t2("experts add run --name mine --json").result
    assert added.keys() == {"name", "path", "base_model", "is_known"}
    assert (added["name"], added["base_model"], added["is_known"]) == ("mine", "tiny", False)
    ran = t2("experts add experts/alpha.safetensors")
    assert ran.stdout == f"alpha: {Library().own}/alpha.safetensors\n"
    assert "it is an expert of tiny: wear it with --model" in ran.said
    assert (
        "`auto` does not know it yet: wear it by name, or let it be known: t2 router"
        in ran.said
    )
    assert files(Library().own) == ["alpha.safetensors", "mine.safetensors"]
    for name in ("mine", "alpha"):
        assert t2(f"generate hello --model tiny --expert {name} --max-tokens 2").code == 0
    assert t2("experts add run").stdout.startswith("run: ")


def test_what_is_the_same_already_is_added_without_a_word(t2, experts):
    for _ in range(2):
        ran = t2("experts add experts/alpha.safetensors")
        assert (ran.code, files(Library().own)) == (0, ["alpha.safetensors"])


def test_a_name_that_is_taken_is_asked_about(t2, experts):
    t2("experts add experts/alpha.safetensors --name mine")
    before = Library().find("mine").digest
    line = "experts add experts/beta.safetensors --name mine"
    ran = t2(line)
    assert ran.code == 2
    assert "mine is taken: another --name, or --yes to replace" in ran.said
    hidden = t2("experts add experts/beta.safetensors --name largest")
    assert "--yes to hide the bundled expert largest" in hidden.said
    assert Library().find("mine").digest == before
    assert t2(f"{line} --yes").code == 0
    assert Library().find("mine").digest == Expert.load(experts / "beta.safetensors").digest


def test_own_experts_are_removed_all_or_none(t2, own):
    line = f"experts remove alpha beta --experts {own}"
    ran = t2(line)
    assert (ran.code, files(own)) == (2, ["alpha.safetensors", "beta.safetensors"])
    assert "nobody can be asked here; --yes removes it" in ran.said
    assert t2(f"experts remove alpha nobody --yes --experts {own}").code == 1
    assert files(own) == ["alpha.safetensors", "beta.safetensors"]
    removed = t2(f"{line} --yes --json").result["removed"]
    assert removed == [str(own / f"{name}.safetensors") for name in ("alpha", "beta")]
    assert files(own) == []


def test_an_expert_is_renamed(t2, own):
    digest = Expert.load(own / "alpha.safetensors").digest
    renamed = t2(f"experts rename alpha omega --experts {own} --json").result
    assert renamed["path"] == str(own / "omega.safetensors")
    assert files(own) == ["beta.safetensors", "omega.safetensors"]
    assert Expert.load(own / "omega.safetensors").digest == digest


def test_a_mixture_is_kept_and_answers_as_it_does_unkept(t2, own):
    t2(f"experts mix alpha=0.6,beta=0.4 --name both --experts {own}")
    shown = t2(f"experts show both --experts {own} --json").result
    assert shown["mixture"] == {"alpha": 0.6, "beta": 0.4}
    line = f"generate hello --model tiny --max-tokens 5 --experts {own} --json"
    kept = t2(f"{line} --expert both").result
    assert kept["text"] == t2(f"{line} --mix alpha=0.6,beta=0.4").result["text"]
    assert "mixture.alpha" in t2(f"experts show both --experts {own}").stdout


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("add nowhere", "nowhere: no such file, expected an expert file"),
        ("add taken", "taken: not usable"),
        ("add tiny", "tiny/expert.safetensors: no such file"),
        (
            "add tiny/model.safetensors",
            "got a safetensors file of the format 'mlx', expected 'mlx-t2-expert'",
        ),
        ("add foreign.safetensors --name a/b", "expert: got the name 'a/b', expected a letter"),
        ("add foreign.safetensors --name auto", "expert: got the name 'auto'"),
        ("remove largest --yes", "'largest': it comes with the program and stays as it is"),
        ("remove nobody --yes", "'nobody': unknown, expected one of: arc-easy"),
        ("rename largest best", "'largest': it comes with the program and stays as it is"),
        ("mix largest --name a", "mix 'largest': got 'largest', expected NAME=NUMBER"),
        ("mix largest=1,nobody=1 --name a", "'nobody': unknown"),
        ("mix largest=1 --name 1a", "expert: got the name '1a'"),
        ("mix largest=1,foreign.safetensors=1 --name a", "Mix experts of one model"),
        ("path nobody", "'nobody': unknown"),
        ("show nobody", "'nobody': unknown"),
    ],
)
def test_what_is_refused_is_said_in_one_line_and_changes_nothing(t2, experts, line, text):
    ran = t2(f"experts {line}")
    assert (ran.code, ran.stdout) == (1, "")
    assert text in ran.said
    assert "Traceback" not in ran.stderr
    assert not Library().own.exists() or files(Library().own) == []


def test_options_stand_after_the_subcommand(t2, own):
    assert t2(f"experts --experts {own} list").code == 2


class Said:
    """Standard error as it is when the command runs."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("typed", "left"), [("y\n", 1), ("n\n", 2), ("\n", 2), ("", 2)])
def test_a_person_is_asked_before_files_are_deleted(t2, own, monkeypatch, typed, left):
    person = SimpleNamespace(isatty=lambda: True, readline=lambda: typed)
    monkeypatch.setattr(asking, "sys", SimpleNamespace(stdin=person, stderr=Said()))
    ran = t2(f"experts remove alpha --experts {own}")
    assert f"delete {own}/alpha.safetensors? [y/N]" in ran.said
    assert ("nothing was removed" in ran.said) == bool(ran.code) == (left == 2)
    assert len(files(own)) == left
