"""Situations of other people: models."""

from hands.case import Case

CASES: list[Case] = []
