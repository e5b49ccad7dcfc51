"""Situations of other people: shell."""

from hands.case import Case

CASES: list[Case] = []
