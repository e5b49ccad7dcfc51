"""Trained scales as things you keep: expert files, a library of them, and their algebra.

Knows scales, names and fingerprints; does not know models, tasks, training, or how an expert is
chosen.
"""

from .composition import parse_composition as parse_composition
from .expert import Expert as Expert
from .file import name_of as name_of
from .library import BUNDLED as BUNDLED
from .library import Library as Library
from .library import open_library as open_library
from .likeness import cosines as cosines
from .likeness import norm as norm
from .mixing import acts_on_of as acts_on_of
from .mixing import add as add
from .mixing import mix as mix
from .mixing import parse_mix as parse_mix
from .picture import draw_deviations as draw_deviations
