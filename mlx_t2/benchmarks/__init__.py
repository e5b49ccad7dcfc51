"""Measurements that made the README's numbers. Knows every room below; no room knows it."""

from .bundle import build as build
