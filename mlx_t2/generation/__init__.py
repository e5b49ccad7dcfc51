"""Answering in two passes: a strategy finds the scales, the model answers wearing them.

Knows strategies and token streams; does not know tasks, rewards, files or a server.
"""

from .side_by_side import SideBySide as SideBySide
from .two_pass import AdaptiveGenerator as AdaptiveGenerator
from .two_pass import Answer as Answer
from .two_pass import Request as Request
from .two_pass import Route as Route
from .two_pass import choose_messages as choose_messages
