"""Experts as files for others. Knows expert files; does not know training, or which expert to
choose.
"""

from .portable import to_safetensors as to_safetensors
