"""Parcels on a hub: pushed as one commit, pulled at one. Knows the hub's client and its errors;
each ends in one line.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, errors, get_token
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from mlx_t2.errors import ConfigError, ExpertFileError, FileError, T2Error

from .parcel import Parcel, check_size, choose_file, name_from

Doing = Literal["push", "pull"]


def push(parcel: Parcel, repo: str, private: bool = False) -> str:
    """Put the parcel into a repository, made where it is missing; the commit's page.

    Raises: ConfigError for what is no id; FileError where the hub does not take it.
    """
    with _explaining(repo, "push"):
        if get_token() is None:
            raise FileError(
                f"{repo}: got no token of the hub, expected one that may write there. Log in: "
                "hf auth login, or set HF_TOKEN"
            )
        api = HfApi()
        api.create_repo(repo, private=private or None, exist_ok=True)
        commit = api.create_commit(
            repo,
            [CommitOperationAdd(path, content) for path, content in parcel.files().items()],
            commit_message=f"Expert {parcel.name}",
        )
    return str(commit.commit_url)


def pull(repo: str, revision: str | None = None, wanted: str | None = None) -> Parcel:
    """The expert in a repository, checked; its source names the commit, which does not change.

    revision: a branch, tag or commit; None is the newest.
    wanted: the file, where there are several.
    Raises: ConfigError for what is no id; ExpertFileError for a repository with pickles, with
        no expert, or one that is not usable; FileError where the hub does not give it.
    """
    with _explaining(repo, "pull", revision):
        api = HfApi()
        info = api.model_info(repo, revision=revision, files_metadata=True)
        known: dict[str, Any] = {file.rfilename: file for file in info.siblings or ()}
        sizes = {path: file.size or 0 for path, file in known.items()}
        path, commit = choose_file(repo, sizes, wanted), str(info.sha)
        planned: Any = api.hf_hub_download(repo, path, revision=commit, dry_run=True)
        check_size(repo, path, planned.file_size or 0)
        content = Path(api.hf_hub_download(repo, path, revision=commit)).read_bytes()
    stored = known[path].lfs
    expected = stored.sha256 if stored else None
    if expected not in (None, hashlib.sha256(content).hexdigest()):
        raise ExpertFileError(
            f"{repo}: {path}: got another content than the hub says it has, expected sha256 "
            f"{expected}. Pull again"
        )
    parcel = Parcel(name_from(path), content, source=f"{repo}@{commit}")
    parcel.open()
    return parcel


@contextmanager
def _explaining(repo: str, doing: Doing, revision: str | None = None) -> Iterator[None]:
    """Inside the block, what is in the way is one line; neither bars nor warnings are shown."""
    shows_bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except T2Error:
        raise
    except errors.HFValidationError as error:
        raise ConfigError(
            f"{repo}: not an id of the hub, expected OWNER/NAME; a folder or an archive is "
            "named with its path, like ./expert.tar.gz"
        ) from error
    except Exception as error:  # the hub's, the network's and the disk's share no type
        raise FileError(f"{repo}: {_explain(error, repo, doing, revision)}") from error
    finally:
        if shows_bars:
            enable_progress_bars()


def _explain(error: Exception, repo: str, doing: Doing, revision: str | None) -> str:
    """What is in the way, and what to do. The first that fits: some are kinds of others."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # why a file could not be sent
    for kind, explain in _BY_KIND:
        if isinstance(error, kind):
            return explain(repo, doing, revision)
    status, wait = _status_of(error)
    if status in _BY_STATUS:
        return _BY_STATUS[status](repo, doing, wait)
    if status >= 500:
        return f"the hub is in trouble ({status}), expected an answer. Try later"
    if isinstance(error, httpx2.TimeoutException):
        return "the hub does not answer in time. Try again, or later"
    if isinstance(error, httpx2.TransportError | ConnectionError):
        return (
            f"the hub cannot be reached ({_one_line(error)}). Go online, or see whether "
            "HF_ENDPOINT is right"
        )
    return f"the hub's client failed ({_one_line(error)}). Try again"


def _status_of(error: Exception) -> tuple[int, str]:
    """The status that the hub answered with, 0 for none, and for how many seconds it wants to
    be left alone. Its storage is spoken to by another client, which has the status as text.
    """
    if isinstance(error, errors.HfHubHTTPError):
        response = error.response
        return response.status_code, response.headers.get("Retry-After", "some")
    said = _STATUS.search(str(error)) if isinstance(error, ConnectionError) else None
    return (int(said[1]) if said else 0), "some"


def _explain_missing(repo: str, doing: Doing, _: str | None) -> str:
    if doing == "push":
        return (
            "the hub does not let this token write there, or has no such owner, expected "
            "OWNER/NAME of your own. Log in with another: hf auth login"
        )
    return (
        "the hub has no such repository, or shows it to some accounts only. See whether the id "
        "is right; for a private one log in: hf auth login"
    )


_OFFLINE = (
    "the hub cannot be asked (HF_HUB_OFFLINE is set). Go online, or hand experts on as a "
    "folder or an archive: t2 experts push NAME --to expert.tar.gz"
)

_BY_KIND: list[tuple[type, Callable[[str, Doing, str | None], str]]] = [
    (
        errors.GatedRepoError,
        lambda repo, *_: (
            "its owner wants terms accepted first. Accept them on its page "
            f"(https://huggingface.co/{repo}), then log in: hf auth login"
        ),
    ),
    (errors.DisabledRepoError, lambda *_: "the hub has disabled this repository"),
    (errors.RepositoryNotFoundError, _explain_missing),
    (
        errors.RevisionNotFoundError,
        lambda _, __, revision: (
            f"got the revision {revision or 'main'!r}, which is not there, expected a branch, "
            "a tag or a commit"
        ),
    ),
    (
        errors.RemoteEntryNotFoundError,
        lambda *_: "the file that the hub lists is not there. Try again",
    ),
    (errors.OfflineModeIsEnabled, lambda *_: _OFFLINE),
    (
        errors.LocalEntryNotFoundError,
        lambda *_: "the connection to the hub was lost. Try again",
    ),
]

_STATUS = re.compile(r"\((\d{3}) [A-Z]")

_BY_STATUS: dict[int, Callable[[str, Doing, str], str]] = {
    401: lambda *_: (
        "the hub does not know this token, expected one that is valid. Log in anew: "
        "hf auth login, or set HF_TOKEN"
    ),
    403: lambda repo, doing, _: (
        f"this token may not {'write to' if doing == 'push' else 'read'} it, expected one "
        f"with that right for {repo.partition('/')[0]}. Make one in the hub's settings, then: "
        "hf auth login"
    ),
    409: lambda *_: "it was changed by somebody else at the same time. Try again",
    412: lambda *_: "it was changed by somebody else at the same time. Try again",
    413: lambda *_: "the hub finds the expert too large",
    429: lambda _, __, wait: (
        f"the hub has had too many requests from here. Wait {wait} seconds"
    ),
}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
