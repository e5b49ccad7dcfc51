"""Trained scales as things you keep: expert files, a library of them, and their algebra.

Knows scales, names and fingerprints; does not know models, tasks, training, or how an expert is
chosen.
"""

from .composition import parse_composition as parse_composition
from .expert import Expert as Expert
from .expert import digest_of as digest_of
from .file import name_of as name_of
from .library import BUNDLED as BUNDLED
from .library import Library as Library
from .library import check_name as check_name
from .library import is_bundled as is_bundled
from .library import open_library as open_library
from .library import read_checked as read_checked
from .likeness import cosines as cosines
from .likeness import norm as norm
from .mixing import acts_on_of as acts_on_of
from .mixing import add as add
from .mixing import mix as mix
from .mixing import parse_mix as parse_mix
from .mixture import coefficients_of as coefficients_of
from .mixture import make_mixture as make_mixture
from .origins import origin_of as origin_of
from .origins import record_origin as record_origin
from .picture import draw_deviations as draw_deviations
from .record import Record as Record
from .record import records_of as records_of
