"""Untrusted code, run outside our process.

Does not know what the code is for, nor what is right: pure Python, without MLX.
"""

from .levels import CANNOT_STOP as CANNOT_STOP
from .levels import NUMBERS as NUMBERS
from .levels import REMEDIES as REMEDIES
from .pool import Pending as Pending
from .pool import allow_limits_everywhere as allow_limits_everywhere
from .pool import level_used as level_used
from .pool import run_programs as run_programs
from .pool import run_tests as run_tests
from .pool import start_programs as start_programs
from .probe import examine_sandbox as examine_sandbox
from .probe import sandbox_level as sandbox_level
from .program import Outcome as Outcome
from .program import Program as Program
from .values import Opaque as Opaque
from .values import Value as Value
from .values import show as show
