"""`t2 cache`: sizes per kind, and away with it."""

import pytest


@pytest.fixture
def filled(tmp_path):
    """A basis of 5 bytes, and a link where a converted model would be."""
    for folder in ("bases", "models", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bases" / "a.safetensors").write_bytes(b"12345")
    (tmp_path / "elsewhere" / "kept").write_text("x")
    (tmp_path / "models" / "smollm2-135m-1").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def test_sizes_are_given_per_kind(t2, filled):
    assert t2("cache --json", cache=filled).result["bytes"]["bases"] == 5
    assert "bases" in t2("cache", cache=filled).stdout


def test_clearing_removes_what_was_made_and_follows_no_link(t2, filled):
    removed = t2("cache clear --yes --json", cache=filled).result["removed"]
    assert set(removed) == {"bases", "models"}
    assert [path.name for path in filled.rglob("*") if not path.is_dir()] == ["kept"]


def test_nobody_is_asked_where_nobody_is(t2, filled):
    ran = t2("cache clear", cache=filled)
    assert (ran.code, "--yes clears the cache" in ran.said) == (2, True)
    assert (filled / "bases/a.safetensors").exists()


@pytest.mark.parametrize("cache", ["absent", "bases/a.safetensors"])
def test_what_is_no_folder_is_empty(t2, filled, cache):
    assert t2("cache --json", cache=filled / cache).result["bytes"] == {}
    assert t2("cache clear", cache=filled / cache).code == 0


def test_what_this_program_did_not_make_is_left_alone(t2, tmp_path):
    kept = [
        "experts/own.safetensors",
        "thesis/a.tex",
        "bases/notes.txt",
        "models/llama/config.json",
    ]
    made = [
        "bases/0a-full-1.safetensors",
        "batching/1.json",
        "models/smollm2-135m-9-1/config.json",
    ]
    for name in (*kept, *made):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    t2("cache clear --yes", cache=tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(kept)
