"""Models of the hub: downloaded whole, and what can be in the way of that in one line each.

Knows the hub's ids, errors and sizes; does not know what is in a model.
"""

import errno
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from huggingface_hub import constants, errors, snapshot_download

from mlx_t2.errors import ModelError

_PATTERNS = (
    *("*.json", "model*.safetensors", "*.py", "tokenizer.model", "*.tiktoken"),
    *("tiktoken.model", "*.txt", "*.jsonl", "*.jinja"),
)
"""The files of a model that mlx-lm reads."""


@cache
def download(repo: str) -> Path:
    """The folder of a model of the hub. What is on this disk already is not fetched again, and
    a download that was interrupted goes on where it ended.

    Raises: ModelError for a model that is not there, or cannot be reached or stored.
    """
    try:
        _check_room(repo)
        found: Any = snapshot_download(repo, allow_patterns=list(_PATTERNS))
    except ModelError:
        raise
    except Exception as error:  # the hub's, the network's and the disk's share no type
        raise ModelError(f"{repo}: {_explain(error)}") from error
    return Path(found)


def _check_room(repo: str) -> None:
    """Raise ModelError where the disk has no room for what is missing."""
    try:
        files: Any = snapshot_download(repo, allow_patterns=list(_PATTERNS), dry_run=True)
    except errors.DryRunError:  # not reached: it may be on this disk all the same
        return
    missing = sum(file.file_size or 0 for file in files if file.will_download)
    folder = Path(constants.HF_HUB_CACHE)
    present = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(present).free
    if missing > free:
        raise ModelError(
            f"{repo}: got {free / 1e9:.1f} GB free in {folder}, expected {missing / 1e9:.1f} "
            "GB. Make room, name another folder in HF_HOME, or choose a smaller model"
        )


def _explain(error: Exception) -> str:
    """What is in the way, and what to do. The first that fits: some are kinds of others."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return (
            "the hub wants its terms accepted first. Accept them on the model's page, then log "
            "in: hf auth login"
        )
    if isinstance(error, errors.RepositoryNotFoundError) or code == 404:
        return (
            "the hub has no such model, or shows it to some accounts only; expected an id like "
            "mlx-community/Qwen3-0.6B-4bit. For a private one log in: hf auth login"
        )
    if code in (401, 403):
        return "the hub does not let this account in. Log in with another: hf auth login"
    if isinstance(error, errors.HFValidationError):
        return f"not an id of the hub ({_one_line(error)})"
    if isinstance(error, errors.IncompleteSnapshotError):
        return (
            "only part of it is on this disk, and the hub cannot be reached. Go online once "
            "(HF_HUB_OFFLINE unset), and the download goes on where it ended"
        )
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError):
        return (
            "it is not on this disk, and the hub cannot be reached (no network, or "
            "HF_HUB_OFFLINE is set). Go online once, or give the folder of a model"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full ({constants.HF_HUB_CACHE}). Make room, or name another folder "
            "in HF_HOME; the download goes on where it ended"
        )
    return (
        f"it cannot be downloaded ({_one_line(error)}). Try again: the download goes on where "
        "it ended"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
