"""Singular value fine-tuning on arrays and layers.

One weight matrix W = U diag(s) Vᵀ becomes W' = U diag(s ⊙ z) Vᵀ: `decompose` finds the basis,
`layer` applies the equation, `targets` says which layers wear scales, `fold` puts W' in W's
place, `beside` the change next to W. Knows the layers of MLX and mlx-lm; does not know language
models, tokens, tasks, or files other than its own cache of bases.
"""

from .architectures import REFUSED as REFUSED
from .architectures import UNTRAINABLE as UNTRAINABLE
from .architectures import architecture as architecture
from .architectures import check_trainable as check_trainable
from .base_layer import BaseLayer as BaseLayer
from .base_layer import Quantised as Quantised
from .base_layer import activation_dtype as activation_dtype
from .base_layer import dense_weight as dense_weight
from .base_layer import weight_key as weight_key
from .base_layer import weight_shape as weight_shape
from .base_layer import with_weight as with_weight
from .basis_cache import BasisCache as BasisCache
from .beside import BESIDE_BITS as BESIDE_BITS
from .beside import BesideLinear as BesideLinear
from .beside import beside_layer as beside_layer
from .beside import compose_change as compose_change
from .beside import round_change as round_change
from .decompose import PRECISIONS as PRECISIONS
from .decompose import Basis as Basis
from .decompose import Precision as Precision
from .decompose import decompose_weight as decompose_weight
from .decompose_layers import count_operations as count_operations
from .decompose_layers import decompose_each as decompose_each
from .decompose_layers import operations_per_second as operations_per_second
from .fold import Fidelity as Fidelity
from .fold import compare_changes as compare_changes
from .fold import fold_layers as fold_layers
from .fold import unfold_layers as unfold_layers
from .forms import FORMS as FORMS
from .forms import Choice as Choice
from .forms import Form as Form
from .forms import Weight as Weight
from .forms import Work as Work
from .forms import choose_form as choose_form
from .forms import describe_form as describe_form
from .forms import describe_weight as describe_weight
from .forms import matrix_bytes as matrix_bytes
from .install import install_layers as install_layers
from .install import uninstall_layers as uninstall_layers
from .layer import SVFLayer as SVFLayer
from .layer import SVFLinear as SVFLinear
from .plan import Plan as Plan
from .plan import Recipe as Recipe
from .plan import plan_decomposition as plan_decomposition
from .scales import BASE as BASE
from .scales import ActsOn as ActsOn
from .scales import Arrays as Arrays
from .scales import Scales as Scales
from .scales import Shapes as Shapes
from .scales import agree as agree
from .scales import check_scales as check_scales
from .scales import ones as ones
from .scales import same as same
from .scales import shape_fault as shape_fault
from .scales import stack_rows as stack_rows
from .scales import take_rows as take_rows
from .singular_vectors import SingularVectors as SingularVectors
from .speed import OPERATIONS_ALONE as OPERATIONS_ALONE
from .speed import Speed as Speed
from .speed import find_speed as find_speed
from .speed import measure_speed as measure_speed
from .targets import Targets as Targets
from .targets import base_layers as base_layers
