"""Completions → grades.

Does not know tasks, models or tokens: pure Python, without MLX; code runs
in the sandbox below.
"""

from .asserts import find_entry_point as find_entry_point
from .choices import grade_choice as grade_choice
from .code import HIDDEN_FAILED as HIDDEN_FAILED
from .code import make_code_grader as make_code_grader
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
from .named import GRADER_NAMES as GRADER_NAMES
from .named import make_grader as make_grader
from .patterns import grade_regex as grade_regex
from .stated_math import grade_math as grade_math
from .stated_math import read_math_reference as read_math_reference
from .stated_number import grade_number as grade_number
from .texts import grade_contains as grade_contains
from .texts import grade_exact as grade_exact
