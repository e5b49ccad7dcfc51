"""Run one program in a process of its own, forked from the clean server.

Runs inside the sandbox: standard library only. Nothing in this process is secret or trusted:
the program can reach and change all of it, and gains nothing, since what is expected of its
values is not here.
"""

import sys
from collections.abc import Mapping
from types import ModuleType

from .frames import HELD, write_frame
from .values import encode

MAX_FAULT = 200
"""Longest report of an exception [characters]."""


def run_program(source: str, calls: list[str], answers: int) -> None:
    """Execute the source, then write `V` and the value of each call, or `F` and a fault.

    answers: the descriptor that frames are written to.
    """
    write_frame(answers, HELD)
    set_recursion_limit, limit = sys.setrecursionlimit, sys.getrecursionlimit()
    try:
        namespace = execute(source)
        for call in calls:
            value = eval(compile(call, "call", "eval", dont_inherit=True), namespace)
            set_recursion_limit(limit)
            write_frame(answers, b"V" + encode(value))
    except BaseException as error:
        set_recursion_limit(limit)
        write_frame(answers, b"F" + describe(error).encode("utf-8", "replace"))


def execute(source: str, names: Mapping[str, object] | None = None) -> dict[str, object]:
    """The namespace of code that ran as if it was imported: its `__main__` blocks did not.

    names: what it finds there.
    """
    module = ModuleType("program")
    sys.modules["program"] = sys.modules["__main__"] = module
    module.__dict__.update(names or {})
    exec(compile(source, "program", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def describe(error: BaseException) -> str:
    """The exception in one line, whatever its class does when asked."""
    name = type.__dict__["__name__"].__get__(type(error))
    try:
        text = str.__str__(str(error))
    except BaseException:
        text = ""
    return " ".join(f"{name}: {text[:MAX_FAULT]}".split()).removesuffix(":")
