"""Completions → grades.

Does not know tasks, models or tokens: pure Python, without MLX; code runs
in the sandbox below.
"""

from .grade import RIGHT as RIGHT
from .grade import Attempt as Attempt
from .grade import Grade as Grade
from .grade import Grader as Grader
from .grade import cut_off as cut_off
from .grade import describe as describe
from .grade import grade_text as grade_text
from .grade import mismatch as mismatch
from .grade import read_number as read_number
from .grade import wrong as wrong
