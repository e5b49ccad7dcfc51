"""What can be in the way of a model of the hub."""

import errno
from types import SimpleNamespace

import httpx2 as httpx
import pytest
from huggingface_hub import errors

from mlx_t2.errors import ModelError
from mlx_t2.models import hub


def of_http(kind: type, status: int) -> Exception:
    response = httpx.Response(status, request=httpx.Request("GET", "https://hub"))
    return kind("many\nlines", response=response)


@pytest.fixture
def fail(monkeypatch):
    """Let the hub's download fail with an error, or with files of a size."""
    hub.download.cache_clear()

    def failing(error: Exception | None, size: int = 0) -> None:
        def snapshot(repo, allow_patterns, dry_run=False):
            if dry_run:
                return [SimpleNamespace(file_size=size, will_download=True)]
            assert error is not None
            raise error

        monkeypatch.setattr(hub, "snapshot_download", snapshot)

    return failing


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (of_http(errors.RepositoryNotFoundError, 404), "no such model"),
        (of_http(errors.GatedRepoError, 403), "terms accepted first"),
        (of_http(errors.HfHubHTTPError, 401), "does not let this account in"),
        (of_http(errors.HfHubHTTPError, 500), r"cannot be downloaded \(many lines"),
        (errors.LocalEntryNotFoundError("x"), "not on this disk, and the hub cannot"),
        (errors.OfflineModeIsEnabled("x"), "not on this disk, and the hub cannot"),
        (errors.IncompleteSnapshotError("x", "/y"), "only part of it is on this disk"),
        (errors.HFValidationError("two\nlines"), r"not an id of the hub \(two lines\)"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (ConnectionResetError("reset"), r"\(reset\)\. Try again"),
    ],
)
def test_each_obstacle_is_one_line_that_says_what_to_do(fail, error, words):
    fail(error)
    with pytest.raises(ModelError, match=words) as raised:
        hub.download("org/name")
    assert str(raised.value).startswith("org/name: ")
    assert "\n" not in str(raised.value)


def test_a_model_larger_than_the_disk_is_refused_before_it_is_fetched(fail):
    fail(None, size=10**18)
    with pytest.raises(ModelError, match=r"GB free in .*, expected 1000000000\.0 GB"):
        hub.download("org/name")
