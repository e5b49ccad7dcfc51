"""A folder of experts: what is found, what hides what, what a damaged file leaves."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Library, open_library


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
