"""Untrusted code, run outside our process.

Does not know what the code is for, nor what is right: pure Python, without MLX.
"""

from .pool import Pending as Pending
from .pool import run_programs as run_programs
from .pool import start_programs as start_programs
from .program import Outcome as Outcome
from .program import Program as Program
from .run import SandboxResult as SandboxResult
from .run import run_python as run_python
from .run import sandbox_level as sandbox_level
from .values import Opaque as Opaque
