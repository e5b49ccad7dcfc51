"""An expert handed on as one file."""

import mlx.core as mx
import pytest

from mlx_t2.errors import FileError, ShapeError
from mlx_t2.experts import Expert
from mlx_t2.exporting import to_safetensors


def expert(z=2.0):
    provenance = ["tiny", "ab12", "all", None, "largest", 0, {}, {}]
    return Expert("maths", {"a": mx.array([z, 1.0])}, *provenance)


def test_what_is_written_loads_as_the_same_expert(tmp_path):
    path = to_safetensors(expert(), tmp_path / "given" / "maths.safetensors")
    assert path == tmp_path / "given" / "maths.safetensors"
    assert Expert.load(path).to_bytes() == expert().to_bytes()


def test_a_place_without_the_suffix_is_a_folder(tmp_path):
    path = to_safetensors(expert(), tmp_path / "given")
    assert path == tmp_path / "given" / "maths.safetensors"
    assert Expert.load(path).name == "maths"


def test_another_file_is_overwritten_only_on_demand(tmp_path):
    path = to_safetensors(expert(2.0), tmp_path / "maths.safetensors")
    with pytest.raises(FileError, match=r"maths\.safetensors: another file is there"):
        to_safetensors(expert(3.0), path)
    assert Expert.load(path).digest == expert(2.0).digest
    to_safetensors(expert(3.0), path, overwrite=True)
    assert Expert.load(path).digest == expert(3.0).digest


def test_writing_the_same_expert_again_is_fine(tmp_path):
    path = to_safetensors(expert(), tmp_path)
    assert to_safetensors(expert(), tmp_path) == path


def test_a_folder_of_that_name_is_never_replaced(tmp_path):
    (tmp_path / "maths.safetensors").mkdir()
    for overwrite in (False, True):
        with pytest.raises(FileError, match=r"maths\.safetensors"):
            to_safetensors(expert(), tmp_path, overwrite=overwrite)


def test_scales_that_became_unusable_are_not_written(tmp_path):
    spoilt = expert()
    spoilt.scales["a"][0] = float("nan")
    with pytest.raises(ShapeError, match=r"expert 'maths'.*\na.z: 1 of 2 numbers are NaN"):
        to_safetensors(spoilt, tmp_path)
    assert list(tmp_path.iterdir()) == []
