"""Situations of other people: training."""

from hands.case import Case

CASES: list[Case] = []
