"""Situations of other people: files."""

from hands.case import Case

CASES: list[Case] = []
