"""A folder of experts: what is found, what hides what, what a damaged file leaves."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Library, Record, open_library, records_of


@pytest.fixture
def library(make_expert, tmp_path):
    """Own `cooking`; bundled `expression` and `largest`, and a router beside them."""
    bundled = tmp_path / "bundled"
    make_expert(1).save(tmp_path / "own" / "cooking.safetensors")
    for seed, name in ((2, "expression"), (3, "largest")):
        make_expert(seed).save(bundled / "tiny" / f"{name}.safetensors")
    router = {"weight": np.ones((2, 2), np.float32)}
    save_file(router, bundled / "tiny" / "router.safetensors", {"format": "mlx-t2-router"})
    return Library(tmp_path / "own", bundled=bundled)


def names(library):
    return [expert.name for expert, _ in library.experts()]


def test_own_experts_come_first_then_the_bundled_without_the_router(library):
    assert names(library) == ["cooking", "expression", "largest"]
    assert library.find_damaged() == []


def test_every_expert_is_listed_with_its_file(library):
    assert [path.name for _, path in library.experts()] == [
        "cooking.safetensors",
        "expression.safetensors",
        "largest.safetensors",
    ]


def test_the_bundled_ones_can_be_left_out(library):
    assert names(Library(library.own, bundled=None)) == ["cooking"]


def test_an_expert_is_found_by_name(library):
    assert library.find("largest").seed == 3
    assert library.find("cooking").seed == 1


def test_an_expert_is_found_by_path(library, make_expert, tmp_path, monkeypatch):
    make_expert(7).save(tmp_path / "elsewhere.safetensors")
    assert library.find(str(tmp_path / "elsewhere.safetensors")).seed == 7
    monkeypatch.chdir(tmp_path)
    assert library.find("elsewhere.safetensors").seed == 7
    with pytest.raises(ExpertFileError, match="no such file"):
        library.find("./largest")


def test_an_own_expert_hides_the_bundled_one_of_its_name(library, make_expert):
    make_expert(9).save(library.own / "expression.safetensors")
    assert names(library) == ["cooking", "expression", "largest"]
    assert library.find("expression").seed == 9


def test_an_unknown_name_is_answered_with_the_known_ones(library):
    with pytest.raises(ConfigError, match=r"'poetry'.* one of: cooking, expression, largest;"):
        library.find("poetry")
    with pytest.raises(ConfigError, match="'router'"):
        library.find("router")


def test_an_empty_library_says_where_it_looked(tmp_path):
    empty = Library(tmp_path / "none", bundled=None)
    assert empty.experts() == []
    with pytest.raises(ConfigError, match=r"none in .*none"):
        empty.find("expression")


def test_a_damaged_file_does_not_break_the_listing(library):
    (library.own / "burnt.safetensors").write_bytes(b"ashes")
    assert names(library) == ["cooking", "expression", "largest"]
    [(error, path)] = library.find_damaged()
    assert path.name == "burnt.safetensors"
    assert "burnt.safetensors: not usable" in str(error)
    with pytest.raises(ExpertFileError, match="burnt"):
        library.find("burnt")


def test_a_damaged_own_file_is_not_passed_over_for_its_bundled_namesake(library):
    (library.own / "expression.safetensors").write_bytes(b"ashes")
    assert names(library) == ["cooking", "largest"]
    with pytest.raises(ExpertFileError, match="own/expression"):
        library.find("expression")


def test_the_own_folder_is_in_the_data_folder(make_expert, tmp_path, monkeypatch):
    monkeypatch.setenv("MLX_T2_HOME", str(tmp_path / "home"))
    make_expert(4).save(tmp_path / "home" / "experts" / "mine.safetensors")
    assert Library().find("mine").seed == 4


def test_files_of_other_formats_are_not_experts(library):
    save_file(
        {"a": np.ones(2, np.float32)}, library.own / "lora.safetensors", {"format": "mlx"}
    )
    assert names(library) == ["cooking", "expression", "largest"]
    assert library.find_damaged() == []


def test_the_router_is_beside_the_experts(library):
    bundled = library.bundled / "tiny" / "router.safetensors"
    assert library.router_paths() == [bundled]
    alone = Library(library.own, bundled=None)
    own = library.own / "router.safetensors"
    assert alone.router_paths() == [own]
    own.write_bytes(b"")
    assert library.router_paths() == [own, bundled]


def test_one_folder_is_opened_alone(library, tmp_path):
    assert names(open_library(library.own)) == ["cooking"]
    with pytest.raises(ConfigError, match="nowhere: no such folder, expected one with experts"):
        open_library(tmp_path / "nowhere")


def test_every_bundled_expert_can_be_read(tmp_path):
    assert Library(tmp_path).find_damaged() == []


# Changing it


def own_files(library):
    return sorted(path.name for path in library.own.iterdir())


def test_an_added_expert_is_found_by_its_new_name_and_is_the_same(library, make_expert):
    expert = make_expert(5)
    path = library.add(expert, "poems")
    assert path == library.own / "poems.safetensors"
    assert library.find("poems").digest == expert.digest
    assert library.is_own(path)


def test_a_file_is_kept_byte_for_byte_even_what_this_version_does_not_know(
    library, make_expert, tmp_path
):
    source = tmp_path / "run" / "expert.safetensors"
    make_expert(5).save(source)
    with safe_open(source, "numpy") as file:
        known = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    save_file(known, source, metadata | {"examples": '["Who?"]'})
    assert library.add_file(source) == library.own / "run.safetensors"
    assert (library.own / "run.safetensors").read_bytes() == source.read_bytes()


def test_a_name_that_is_taken_is_refused_with_the_file_that_has_it(library, make_expert):
    before = (library.own / "cooking.safetensors").read_bytes()
    for name, where in (("cooking", "own"), ("largest", "bundled")):
        with pytest.raises(
            ConfigError, match=rf"'{name}': another is called so \(.*{where}.*free"
        ):
            library.add(make_expert(5), name)
    assert own_files(library) == ["cooking.safetensors"]
    assert (library.own / "cooking.safetensors").read_bytes() == before
    library.add(make_expert(5), "cooking", overwrite=True)
    assert library.find("cooking").seed == 5


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "a/b", "../a", "a\nb", "a b", "a=b", "a,b", "a+b", "a*b"),
        *("-a", "2a", "0.5", "router", "router-x", "other", "auto", "off", "none", "expert"),
        *("a.safetensors", "a" * 65, "a\0", "a\u202e"),
    ],
)
def test_names_that_no_expert_can_have_are_refused(library, make_expert, name):
    with pytest.raises(ConfigError, match="expert: got the name"):
        library.add(make_expert(5), name)
    with pytest.raises(ConfigError, match="expert: got the name"):
        library.rename("cooking", name)
    assert own_files(library) == ["cooking.safetensors"]


@pytest.mark.parametrize("name", ["a", "arc-easy", "v1.2_x", "größte", "x" * 64])
def test_names_that_people_give_are_taken(library, make_expert, name):
    library.add(make_expert(5), name)
    assert library.find(name).seed == 5


def test_other_files_are_refused_by_what_they_are(library, tmp_path):
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "lora.safetensors", {"format": "mlx"})
    (tmp_path / "burnt.safetensors").write_bytes(b"ashes")
    for name, match in (
        ("lora", "lora.safetensors: got a safetensors file of the format 'mlx', expected"),
        ("burnt", "burnt.safetensors: not usable"),
        ("gone", "gone.safetensors: no such file"),
    ):
        with pytest.raises(ExpertFileError, match=match):
            library.add_file(tmp_path / f"{name}.safetensors")
    assert own_files(library) == ["cooking.safetensors"]


def test_own_experts_are_removed_and_the_bundled_namesake_is_seen_again(library, make_expert):
    library.add(make_expert(5), "largest", overwrite=True)
    assert library.find("largest").seed == 5
    library.remove("largest")
    assert library.find("largest").seed == 3
    (library.own / "burnt.safetensors").write_bytes(b"ashes")
    library.remove("burnt")
    assert own_files(library) == ["cooking.safetensors"]


def test_bundled_experts_stay_as_they_are(library):
    for change in (library.remove, lambda name: library.rename(name, "best")):
        with pytest.raises(
            ConfigError, match=r"^expert 'largest': it comes with the program.*own: cooking$"
        ):
            change("largest")
    assert names(library) == ["cooking", "expression", "largest"]
    with pytest.raises(ConfigError, match="'nobody': unknown, expected one of: cooking"):
        library.remove("nobody")


def test_a_renamed_expert_is_the_same_file(library):
    content = (library.own / "cooking.safetensors").read_bytes()
    assert library.rename("cooking", "recipes") == library.own / "recipes.safetensors"
    assert own_files(library) == ["recipes.safetensors"]
    assert (library.own / "recipes.safetensors").read_bytes() == content
    for name in ("largest", "recipes"):
        with pytest.raises(ConfigError, match=f"'{name}': another is called so"):
            library.rename("recipes", name)


@pytest.mark.parametrize("step", ["link", "unlink"])
def test_a_killed_renaming_loses_nothing(library, monkeypatch, step):
    content = (library.own / "cooking.safetensors").read_bytes()

    def kill(*_):
        raise KeyboardInterrupt

    owner = os if step == "link" else Path
    monkeypatch.setattr(owner, step, kill)
    with pytest.raises(KeyboardInterrupt):
        library.rename("cooking", "recipes")
    assert {(library.own / name).read_bytes() for name in own_files(library)} == {content}
    assert own_files(library)[0] == "cooking.safetensors"


def test_a_file_system_without_links_renames_all_the_same(library, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    library.rename("cooking", "recipes")
    assert own_files(library) == ["recipes.safetensors"]


def test_a_damaged_router_is_not_taken_for_an_expert(library):
    (library.own / "router.safetensors").write_bytes(b"ashes")
    assert library.find_damaged() == []


# What a file says of its accuracy


def test_the_record_has_test_problems_first(make_expert):
    metrics = {
        **{"base_accuracy": 0.25, "final_accuracy": 0.75, "n_eval": 200},
        **{"base_validation": 0.2, "best_validation": 1, "n_validation": 40},
    }
    assert records_of(make_expert(metrics=metrics)) == (
        Record("test", 0.25, 0.75, 200),
        Record("validation", 0.2, 1.0, 40),
    )


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"base_accuracy": 0.5},
        {"base_accuracy": "0.5", "final_accuracy": 1},
        {"base_accuracy": True, "final_accuracy": 1},
        {"base_accuracy": 50, "final_accuracy": 70},
    ],
)
def test_what_is_not_a_record_is_none(make_expert, metrics):
    assert records_of(make_expert(metrics=metrics)) == ()


def test_a_count_that_is_not_one_is_left_out(make_expert):
    metrics = {"base_accuracy": 0, "final_accuracy": 1, "n_eval": -3}
    assert records_of(make_expert(metrics=metrics)) == (Record("test", 0, 1, None),)
