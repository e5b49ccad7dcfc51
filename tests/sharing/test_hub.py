"""Pushed to a hub and pulled from it: the same bytes; and what a hub can have, a line each."""

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors import safe_open
from safetensors.numpy import save_file

from mlx_t2.errors import ConfigError, ExpertFileError, FileError, T2Error
from mlx_t2.sharing import Parcel, make_parcel, pull, push
from mlx_t2.sharing import parcel as parcels

REPO = "somebody/digits"


@pytest.fixture
def parcel(make_expert) -> Parcel:
    expert = make_expert(3, name="digits")
    return make_parcel(
        expert, expert.to_bytes(), "---\nlibrary_name: mlx_t2\n---\n\n# digits\n"
    )


def test_what_is_pushed_is_pulled_byte_for_byte_at_a_commit(hub, parcel):
    url = push(parcel, REPO)
    commit = hub.commit_of(REPO)
    assert url == f"{hub.address}/{REPO}/commit/{commit}"
    assert hub.repos[REPO] == [parcel.files()]
    pulled = pull(REPO)
    assert (pulled.name, pulled.content) == ("digits", parcel.content)
    assert pulled.source == f"{REPO}@{commit}"
    assert set(hub.tokens) <= {"Bearer hf_of-the-test", ""}


def test_an_older_revision_stays_what_it_was(hub, parcel, make_expert):
    push(parcel, REPO)
    first = hub.commit_of(REPO)
    newer = make_expert(4, name="digits")
    push(make_parcel(newer, newer.to_bytes(), "# digits"), REPO)
    assert pull(REPO).content == newer.to_bytes()
    older = pull(REPO, revision=first)
    assert (older.content, older.source) == (parcel.content, f"{REPO}@{first}")


def test_one_of_several_is_named(hub, parcel, make_expert):
    hub.put(REPO, **{"digits.safetensors": parcel.content, "other.safetensors": b"x"})
    with pytest.raises(ExpertFileError, match=r"got digits.safetensors, other.*--file"):
        pull(REPO)
    assert pull(REPO, wanted="digits.safetensors").name == "digits"
    with pytest.raises(ConfigError, match=r"got no 'x', expected one of digits.safetensors, o"):
        pull(REPO, wanted="x")


# Pulling: each fault is one line, and says what to do


REFUSED = [
    (
        "RepoNotFound",
        404,
        "no such repository, or shows it to some accounts only.*hf auth login",
    ),
    ("GatedRepo", 403, "terms accepted first. Accept them on its page.*hf auth login"),
    ("", 401, "no such repository, or shows it to some accounts only|does not know this token"),
    ("", 403, "this token may not read it, expected one with that right for somebody"),
    ("", 429, "too many requests from here. Wait 30 seconds"),
    ("", 500, r"the hub is in trouble \(500\), expected an answer. Try later"),
    ("", 503, r"the hub is in trouble \(503\)"),
]


@pytest.mark.parametrize(("code", "status", "words"), REFUSED)
def test_what_the_hub_refuses_is_one_line(hub, parcel, code, status, words):
    push(parcel, REPO)
    hub.faults["api/models"] = (status, {"X-Error-Code": code, "Retry-After": "30"})
    check_line(FileError, words, pull, REPO)


def test_a_token_that_the_hub_does_not_know(hub, parcel):
    push(parcel, REPO)
    headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
    hub.faults["api/models"] = (401, headers)
    check_line(FileError, "does not know this token.*hf auth login", pull, REPO)


def test_a_revision_that_is_not_there(hub, parcel):
    push(parcel, REPO)
    check_line(FileError, "got the revision 'v9', which is not there", pull, REPO, "v9")


def test_a_repository_that_the_hub_has_disabled(hub, parcel):
    push(parcel, REPO)
    headers = {"X-Error-Message": "Access to this resource is disabled."}
    hub.faults["api/models"] = (403, headers)
    check_line(FileError, "has disabled this repository", pull, REPO)


def test_a_file_that_is_listed_and_gone(hub, parcel):
    push(parcel, REPO)
    hub.faults["resolve"] = (404, {"X-Error-Code": "EntryNotFound"})
    check_line(FileError, "the file that the hub lists is not there", pull, REPO)


def test_what_is_not_an_id(hub):
    check_line(ConfigError, "not an id of the hub, expected OWNER/NAME", pull, "a b/c")


def test_a_hub_that_is_not_reached(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    check_line(FileError, "the hub cannot be reached .*HF_ENDPOINT", pull, REPO)


def test_a_hub_that_may_not_be_asked(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_line(FileError, "HF_HUB_OFFLINE is set.*--to expert.tar.gz", pull, REPO)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a.PT", "x/y.pkl", "training.ckpt"])
def test_a_pickle_is_refused_before_anything_is_fetched(hub, parcel, name):
    hub.put(REPO, **{"digits.safetensors": parcel.content, name: b"x"})
    hub.faults["resolve"] = (500, {})
    check_line(ExpertFileError, f"got {name}, which may run code", pull, REPO)


@pytest.mark.parametrize("files", [{}, {"README.md": b"x"}, {"sub/a.safetensors": b"x"}])
def test_a_repository_without_an_expert(hub, files):
    hub.put(REPO, **files)
    check_line(ExpertFileError, "got no .safetensors file, expected one expert", pull, REPO)


def test_a_file_larger_than_any_expert_is_not_fetched(hub, parcel, monkeypatch):
    push(parcel, REPO)
    hub.claimed["digits.safetensors"] = 10**12
    check_line(ExpertFileError, "got 1000000 MB, expected an expert of at most 537", pull, REPO)
    hub.claimed["digits.safetensors"] = 10
    monkeypatch.setattr(parcels, "LARGEST", 100)
    hub.faults["GET resolve"] = (500, {})
    check_line(ExpertFileError, r"digits.safetensors: got \d MB, expected", pull, REPO)


def test_a_damaged_expert_is_named_by_its_repository(hub, parcel):
    hub.put(REPO, **{"digits.safetensors": parcel.content[:-3]})
    with pytest.raises(ExpertFileError, match=rf"^{REPO}@\w+: digits.safetensors: not usable"):
        pull(REPO)


def test_a_lora_adapter_is_not_an_expert(hub, tmp_path):
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "a.safetensors", {"format": "mlx"})
    hub.put(REPO, **{"adapters.safetensors": (tmp_path / "a.safetensors").read_bytes()})
    check_line(ExpertFileError, "adapters.safetensors: got .* the format 'mlx'", pull, REPO)


def test_another_content_than_the_hub_says(hub, parcel, make_expert):
    push(parcel, REPO)
    hub.swapped["digits.safetensors"] = make_expert(9).to_bytes()
    assert len(hub.swapped["digits.safetensors"]) == len(parcel.content)
    check_line(ExpertFileError, "got another content than the hub says", pull, REPO)


# Pushing


def test_the_status_that_the_storage_answers_with_is_understood(hub, parcel, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError(
            "Network error: HTTP status client error (403 Forbidden), domain: x"
        )

    monkeypatch.setattr("mlx_t2.sharing.hub.HfApi.create_commit", refuse)
    check_line(FileError, "this token may not write to it", push, parcel, REPO)


@pytest.mark.parametrize(
    ("part", "status", "words"),
    [
        ("api/repos/create", 401, "does not know this token"),
        ("api/repos/create", 403, "this token may not write to it.*for somebody"),
        ("api/repos/create", 500, "the hub is in trouble"),
        ("preupload", 403, "this token may not write to it"),
        ("preupload", 404, "does not let this token write there|hub's client failed"),
        ("objects/batch", 413, "finds the expert too large"),
        ("PUT objects", 403, "this token may not write to it"),
        ("commit/main", 412, "changed by somebody else at the same time. Try again"),
        ("commit/main", 429, "too many requests"),
    ],
)
def test_what_the_hub_does_not_take_is_one_line(hub, parcel, part, status, words):
    hub.faults[part] = (status, {})
    check_line(FileError, words, push, parcel, REPO)
    assert not any(hub.repos.values())


def test_without_a_token_nothing_is_sent(hub, parcel, monkeypatch):
    monkeypatch.setattr("mlx_t2.sharing.hub.get_token", lambda: None)
    check_line(FileError, "got no token of the hub.*hf auth login", push, parcel, REPO)
    assert hub.tokens == []


def check_line(kind: type[T2Error], words: str, act, *args) -> None:
    """The error is of that kind, begins with the place, is one line, and shows no token."""
    with pytest.raises(kind, match=words) as raised:
        act(*args)
    said = str(raised.value)
    assert said.startswith(("somebody/digits", "a b/c"))
    assert "\n" not in said
    assert "hf_of-the-test" not in said


def test_keys_that_this_version_does_not_know_travel_too(hub, parcel, tmp_path):
    file = tmp_path / "digits.safetensors"
    file.write_bytes(parcel.content)
    with safe_open(file, "numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        metadata = opened.metadata()
    save_file(tensors, file, metadata | {"later": "key"})
    push(Parcel("digits", file.read_bytes()), REPO)
    assert pull(REPO).content == file.read_bytes()
