"""Experts in forms that others take. Knows expert files; knows no training, no choosing."""

from .portable import to_safetensors as to_safetensors
