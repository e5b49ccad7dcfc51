"""Experts as files for others: the expert's own file, whole weights, or low-rank terms.

Knows expert files, models that wear scales, and what other programs read; every export of
weights is read back and compared with the live expert. Does not know training, or which expert
to choose.
"""

from .export import FORMS as FORMS
from .export import LEAST as LEAST
from .export import Export as Export
from .folder import check_target as check_target
from .folder import is_export as is_export
from .full import to_full as to_full
from .fused import check_bits as check_bits
from .fused import to_fused as to_fused
from .lora import to_lora as to_lora
from .portable import as_expert as as_expert
from .portable import to_safetensors as to_safetensors
from .verification import Verified as Verified
