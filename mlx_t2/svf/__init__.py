"""Singular value fine-tuning on arrays and layers.

One weight matrix W = U diag(s) Vᵀ becomes W' = U diag(s ⊙ z) Vᵀ. Knows MLX and its layers; does
not know language models, tokens, tasks or files other than its own cache of bases.
"""

from .cache import BasisCache as BasisCache
from .decompose import Basis as Basis
from .decompose import Side as Side
from .decompose import check_finite as check_finite
from .decompose import decompose_weight as decompose_weight
from .install import Linear as Linear
from .install import Targets as Targets
from .install import base_layers as base_layers
from .install import dense_weight as dense_weight
from .install import install as install
from .install import uninstall as uninstall
from .install import weight_key as weight_key
from .layer import SVFLinear as SVFLinear
from .scales import Scales as Scales
from .scales import check_scales as check_scales
from .scales import ones as ones
