"""Trained scales as things you keep: expert files, a library of them, and their algebra.

Knows scales, names and fingerprints. Does not know models, tasks, training, or how an expert is
chosen.
"""

from .expert import Expert as Expert
from .file import FORMAT as FORMAT
from .file import VERSION as VERSION
from .library import BUNDLED as BUNDLED
from .library import Library as Library
from .mix import add as add
from .mix import mix as mix
from .mix import parse_mix as parse_mix
