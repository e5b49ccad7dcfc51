"""Untrusted code, run outside our process.

Does not know what the code is for, nor what is right: pure Python, without MLX.
"""

from .run import SandboxResult as SandboxResult
from .run import run_python as run_python
from .run import sandbox_level as sandbox_level
