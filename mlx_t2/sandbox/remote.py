"""Tests in one process that call a program in another.

For tests that are more than calls with a value to expect: loops, random inputs, objects of the
program's own classes. The tests hold what is expected, so the program must not be where they
are. It answers over a pipe:

    request   (object, attribute or None, arguments, keyword arguments)
    answer    `V` and a value, or `F` and (name of the error, its text)

Plain builtins are copied. Any other object stays with the program; the tests hold a `Remote`,
which they can call, ask for attributes and pass back. It equals nothing else, whatever the
object's class says.

Runs inside the sandbox: standard library only.
"""

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from .child import describe, execute
from .frames import HELD, read_frame, write_frame
from .values import decode, encode

Ask = Callable[["Remote", str | None, tuple, dict], object]


class ProgramEnded(BaseException):
    """The program's process is gone; no test can go on."""


class Remote:
    """An object in the program's process."""

    def __init__(self, number: int, ask: Ask):
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_ask", ask)

    def __call__(self, *arguments, **keywords):
        return self._ask(self, None, arguments, keywords)

    def __getattr__(self, name: str):
        return self._ask(self, name, (), {})

    def __iter__(self):
        following = self.__getattr__("__iter__")().__getattr__("__next__")
        while True:
            try:
                item = following()
            except StopIteration:
                return
            yield item

    def __len__(self) -> int:
        try:
            return self.__getattr__("__len__")()
        except AttributeError as error:
            raise TypeError("the program's object has no length") from error

    def __getitem__(self, key: object):
        return self.__getattr__("__getitem__")(key)

    def __bool__(self) -> bool:
        return True

    def __setattr__(self, name: str, value: object):
        raise AttributeError(f"{name!r} of the program's object can be read, not set")


def serve_calls(source: str, names: Sequence[str], requests: int, answers: int) -> None:
    """Execute the source, tell the tests what its names are, and answer until they end."""
    write_frame(answers, HELD)
    objects: list[object] = []

    def keep(thing: object) -> int:
        objects.append(thing)
        return len(objects) - 1

    def answer(find: Callable[[], object]) -> None:
        try:
            body = b"V" + encode(find(), keep)
        except BaseException as error:
            name = type.__dict__["__name__"].__get__(type(error))
            body = b"F" + encode((name, describe(error)))
        write_frame(answers, body)

    def find_names() -> dict[str, object]:
        namespace = execute(source)
        return {name: namespace[name] for name in names if name in namespace}

    def call(request: bytes) -> object:
        number, name, arguments, keywords = decode(request, objects.__getitem__)
        thing: Any = objects[number]
        return getattr(thing, name) if name is not None else thing(*arguments, **keywords)

    answer(find_names)
    while request := read_frame(requests):
        answer(lambda request=request: call(request))


def run_against(
    tests: str, names: Sequence[str], answers: int, requests: int, verdict: int
) -> None:
    """Execute tests, then write `V` and True, or `F` and a fault.

    names: those of the program's that the tests find; it cannot give them others.
    Writes nothing where the program ends meanwhile: how it ended says more.
    """

    def receive() -> object:
        frame = read_frame(answers)
        if not frame:
            raise ProgramEnded
        if frame[:1] == b"V":
            return decode(frame[1:], lambda number: Remote(number, ask))
        raise _remake(*map(str, decode(frame[1:])))

    def ask(thing: Remote, name: str | None, arguments: tuple, keywords: dict) -> object:
        write_frame(requests, encode((thing._number, name, arguments, keywords), _number_of))
        return receive()

    if read_frame(answers) != HELD:
        return
    write_frame(verdict, HELD)
    try:
        found = receive()
        assert type(found) is dict
        execute(tests, {name: found[name] for name in names if name in found})
        write_frame(verdict, b"V" + encode(True))
    except ProgramEnded:
        return
    except BaseException as error:
        write_frame(verdict, b"F" + describe(error).encode("utf-8", "replace"))


def _number_of(thing: object) -> int:
    if isinstance(thing, Remote):
        return thing._number
    raise TypeError(f"a {type(thing).__name__} cannot be passed to the program")


def _remake(name: str, text: str) -> Exception:
    """The error of a name, if that is a builtin one, so that tests can expect it."""
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, Exception):
        return found(text.removeprefix(f"{name}: "))
    return RuntimeError(text)
