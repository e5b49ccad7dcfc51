"""Measurements that made the README's numbers. Knows every room below; no room knows it."""

from .bundle import build as build
from .speed import Row as Row
from .speed import measure as measure
