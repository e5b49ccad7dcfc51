"""`t2 cache`: sizes per kind, and away with it."""

import pytest


@pytest.fixture
def filled(tmp_path):
    (tmp_path / "bases" / "deep").mkdir(parents=True)
    (tmp_path / "bases" / "deep" / "a").write_bytes(b"12345")
    (tmp_path / "models").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def test_sizes_are_given_per_kind(t2, filled):
    assert t2("cache --json", cache=filled).result["bytes"]["bases"] == 5
    assert "bases" in t2("cache", cache=filled).stdout


def test_clearing_removes_all_and_follows_no_link(t2, filled, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_text("x")
    (filled / "models" / "out").symlink_to(outside)
    (filled / "out").symlink_to(outside)
    assert set(t2("cache clear --yes --json", cache=filled).result["removed"]) >= {"bases"}
    assert list(filled.iterdir()) == []
    assert (outside / "kept").exists()


def test_nobody_is_asked_where_nobody_is(t2, filled):
    ran = t2("cache clear", cache=filled)
    assert (ran.code, "--yes clears the cache" in ran.said) == (2, True)
    assert (filled / "bases/deep/a").exists()


@pytest.mark.parametrize("cache", ["absent", "bases/deep/a"])
def test_what_is_no_folder_is_empty(t2, filled, cache):
    assert t2("cache --json", cache=filled / cache).result["bytes"] == {}
    assert t2("cache clear", cache=filled / cache).code == 0
