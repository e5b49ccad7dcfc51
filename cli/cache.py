"""`t2 cache`: what can be computed again, how large it is, and away with it."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from .asking import agree_or_leave
from .options import Json, refuse_options_before
from .render import emit, facts, say, size

_MADE = {"bases": "*.safetensors", "batching": "*.json", "models": "smollm2-135m-*"}
"""{folder in the cache: what this program makes there}. Nothing else is counted or removed: the
place may be shared, with own experts or with other people's files.
"""

app = typer.Typer(help="Show the size of the cache, or clear it.", invoke_without_command=True)


@app.callback()
def cache(context: typer.Context, json: Json = False) -> None:
    """Show the size of the cache, or clear it."""
    if context.invoked_subcommand:
        refuse_options_before(context, json)
        return
    from mlx_t2.folders import cache_dir

    sizes = _measure(cache_dir())
    if json:
        emit({"cache": str(cache_dir()), "bytes": sizes})
        return
    named = [(name, size(count)) for name, count in sizes.items()]
    facts(f"{cache_dir()}", [*named, ("together", size(sum(sizes.values())))])


@app.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove what is in the cache: it is computed again when it is needed."""
    from mlx_t2.files import file_errors
    from mlx_t2.folders import cache_dir

    folder = cache_dir()
    sizes = _measure(folder)
    total = sum(sizes.values())
    if sizes and not yes:
        question = f"remove {size(total)} in {folder}?"
        agree_or_leave(question, "--yes clears the cache", "nothing was removed")
    for path in _made(folder):
        with file_errors(path):
            _remove(path)
    if json:
        emit({"cache": str(folder), "removed": sizes})
    else:
        say(f"{folder}: {size(total)} removed")


def _measure(folder: Path) -> dict[str, int]:
    """{folder in the cache: bytes of what this program made there}, links not followed."""
    sizes: dict[str, int] = {}
    for path in _made(folder):
        sizes[path.parent.name] = sizes.get(path.parent.name, 0) + _bytes(path)
    return sizes


def _made(folder: Path) -> list[Path]:
    return [path for name, made in _MADE.items() for path in sorted((folder / name).glob(made))]


def _bytes(path: Path) -> int:
    files = [path] if path.is_symlink() or not path.is_dir() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
