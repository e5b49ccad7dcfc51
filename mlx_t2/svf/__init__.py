"""Singular value fine-tuning on arrays and layers.

One weight matrix W = U diag(s) Vᵀ becomes W' = U diag(s ⊙ z) Vᵀ. Knows the layers of MLX and
mlx-lm; does not know language models, tokens, tasks or files other than its own cache of bases.
"""

from .base import BaseLayer as BaseLayer
from .base import Quantised as Quantised
from .base import check_finite as check_finite
from .base import dense_weight as dense_weight
from .base import weight_key as weight_key
from .base import weight_shape as weight_shape
from .base import with_weight as with_weight
from .cache import BasisCache as BasisCache
from .decompose import PRECISIONS as PRECISIONS
from .decompose import Basis as Basis
from .decompose import Precision as Precision
from .decompose import Side as Side
from .decompose import decompose_weight as decompose_weight
from .engine import Done as Done
from .engine import decompose_layers as decompose_layers
from .engine import operations_a_second as operations_a_second
from .engine import work as work
from .fold import Form as Form
from .fold import Realised as Realised
from .fold import cheaper_form as cheaper_form
from .fold import fold as fold
from .fold import folded_layer as folded_layer
from .fold import realised as realised
from .fold import unfold as unfold
from .install import REFUSED as REFUSED
from .install import UNTRAINABLE as UNTRAINABLE
from .install import Survey as Survey
from .install import Targets as Targets
from .install import architecture as architecture
from .install import base_layers as base_layers
from .install import check_trainable as check_trainable
from .install import install as install
from .install import uninstall as uninstall
from .layer import SVFLayer as SVFLayer
from .layer import SVFLinear as SVFLinear
from .layer import SVFMultiLinear as SVFMultiLinear
from .layer import SVFSwitchLinear as SVFSwitchLinear
from .plan import Plan as Plan
from .plan import Recipe as Recipe
from .plan import plan as plan
from .scales import Scales as Scales
from .scales import Shapes as Shapes
from .scales import check_scales as check_scales
from .scales import ones as ones
from .scales import same as same
from .scales import shape_fault as shape_fault
from .scales import stack_rows as stack_rows
from .scales import take_rows as take_rows
from .vectors import BITS as BITS
from .vectors import Vectors as Vectors
