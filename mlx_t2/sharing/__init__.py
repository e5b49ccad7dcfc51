"""Experts handed on: a parcel of an expert's file and its card, to a hub, a folder or an
archive, and back.

Knows expert files, what was measured of them, and the hub; does not know models, training, or a
terminal. Nothing is run that comes from elsewhere: of a parcel only a safetensors file is read.
"""

from .card import Described as Described
from .card import make_card as make_card
from .card import make_results as make_results
from .hub import pull as pull
from .hub import push as push
from .measured import Measured as Measured
from .measured import measure_pair as measure_pair
from .measured import measured_by_training as measured_by_training
from .parcel import Parcel as Parcel
from .parcel import make_parcel as make_parcel
from .parcel import open_content as open_content
from .places import is_place as is_place
from .places import read_place as read_place
from .places import write_place as write_place
from .private import own_texts as own_texts
from .private import without_private as without_private
