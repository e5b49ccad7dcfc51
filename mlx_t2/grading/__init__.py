"""Completions → grades, and untrusted code run away from our process.

Does not know tasks, models or tokens: pure Python, without MLX.
"""

from .sandbox import SandboxResult as SandboxResult
from .sandbox import run_python as run_python
from .sandbox import sandbox_level as sandbox_level
