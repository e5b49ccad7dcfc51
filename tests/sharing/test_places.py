"""Experts handed on without a network: folders, archives, and archives that mean harm."""

import gzip
import io
import tarfile

import pytest

from mlx_t2.errors import ConfigError, ExpertFileError, FileError
from mlx_t2.sharing import Parcel, is_place, make_parcel, read_place, write_place
from mlx_t2.sharing import parcel as parcels


@pytest.fixture
def parcel(make_expert) -> Parcel:
    expert = make_expert(3, name="digits")
    return make_parcel(expert, expert.to_bytes(), "# digits\n", "- value: 1\n")


def tar(*members, content=b"x"):
    """A tar of (name, type) without a disk; a type of None is a plain file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind or tarfile.REGTYPE, "/etc/passwd"
            member.size = 0 if kind else len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("name", ["given", "given.tar.gz", "given.tgz", "given.tar"])
def test_what_is_written_is_read_byte_for_byte(parcel, tmp_path, name):
    place = write_place(parcel, tmp_path / "new" / name)
    read = read_place(place)
    assert (read.name, read.content, read.source) == ("digits", parcel.content, str(place))
    again = write_place(parcel, tmp_path / "again" / name)
    if place.is_file():
        assert again.read_bytes() == place.read_bytes()
    else:
        assert {p.name for p in place.rglob("*") if p.is_file()} == {
            *("digits.safetensors", "README.md", "largest.yaml"),
        }


def test_an_archive_of_a_folder_is_read_too(parcel, tmp_path):
    made = tar(("my/digits.safetensors", None), ("my/README.md", None), content=parcel.content)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(made))
    assert read_place(tmp_path / "a.tar.gz").content == parcel.content


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../a.safetensors", None)], r"'../a.safetensors', which leads out of it"),
        ([("/etc/a.safetensors", None)], "which leads out of it"),
        ([("a/../../b.safetensors", None)], "which leads out of it"),
        ([("a\\..\\b.safetensors", None)], "which leads out of it"),
        ([("a.safetensors", tarfile.SYMTYPE)], "a link or a device, expected plain files"),
        ([("a.safetensors", tarfile.LNKTYPE)], "a link or a device"),
        ([("a.safetensors", tarfile.CHRTYPE)], "a link or a device"),
        ([("a.safetensors", tarfile.FIFOTYPE)], "a link or a device"),
        ([("a.safetensors", None), ("model.pkl", None)], "got model.pkl, which may run code"),
        ([("README.md", None)], "got no .safetensors file"),
        ([("a.safetensors", None), ("b.safetensors", None)], "Name one of them: --file"),
        ([("a.safetensors", None)], r"a.tar: a.safetensors: not usable"),
        ([(f"{n}.txt", None) for n in range(1002)], "expected a place of one expert"),
    ],
)
def test_an_archive_that_means_harm_is_refused_and_nothing_is_unpacked(
    tmp_path, monkeypatch, members, words
):
    (tmp_path / "a.tar").write_bytes(tar(*members))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExpertFileError, match=words):
        read_place(tmp_path / "a.tar")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.tar"]


def test_an_archive_that_grows_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parcels, "LARGEST", 1000)
    many = [(f"{n}.txt", None) for n in range(20)]
    made = gzip.compress(tar(*many, content=bytes(100)))
    (tmp_path / "a.tar.gz").write_bytes(made)
    with pytest.raises(ExpertFileError, match=r"up to the member '10.txt': got"):
        read_place(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("cut", [0, 5, 40, -20])
def test_a_torn_archive_is_one_line(parcel, tmp_path, cut):
    place = write_place(parcel, tmp_path / "a.tar.gz")
    place.write_bytes(place.read_bytes()[:cut])
    with pytest.raises((ExpertFileError, FileError), match=r"a\.tar\.gz: .*expected") as raised:
        read_place(place)
    assert "\n" not in str(raised.value)


def test_a_folder_with_a_pickle_or_without_an_expert_is_refused(tmp_path):
    for name, words in (("notes.txt", "got no .safetensors file"), ("a.bin", "got a.bin")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ExpertFileError, match=words):
            read_place(tmp_path)
    with pytest.raises(ConfigError, match="nowhere: no such folder or archive"):
        read_place(tmp_path / "nowhere")


def test_what_cannot_be_written_is_said(parcel, tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(FileError, match=r"taken: got a file, expected a folder, or .*tar.gz"):
        write_place(parcel, tmp_path / "taken")


def test_places_and_repositories_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    named = ("./a", "/a", "~/a", "a.tar.gz", "a/b.tgz", "org/name", "..")
    assert all(map(is_place, named))
    assert not any(map(is_place, ("some/body", "somebody", "some/body.tar.gzip")))
