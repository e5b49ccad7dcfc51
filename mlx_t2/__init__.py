"""Transformer² on MLX: a language model that adapts its own weights to each request."""

from . import blas as blas  # first: it has to come before MLX is imported
