"""What a process finds when it starts: descriptors, streams, arguments, a folder for temporary
files. Made usable before anything else is opened or imported; imports nothing heavy itself.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO


class SurroundingsError(Exception):
    """A stream or folder that every command needs cannot be used. Neither an OSError, which
    parsers of arguments swallow, nor a T2Error, which takes a second to import.
    """


class ReaderGone(Exception):
    """Whoever read standard output has left; that is no error of anyone's."""


def prepare() -> None:
    """Mend the surroundings of this process as far as that can be done."""
    open_descriptors()
    sys.stdout = _guard(sys.stdout, _Output)
    sys.stderr = _guard(sys.stderr, _Remarks)
    if isinstance(sys.stdin, io.TextIOWrapper):
        is_ascii = codecs.lookup(sys.stdin.encoding).name == "ascii"  # UTF-8 has all of it
        encoding = "utf-8" if is_ascii else sys.stdin.encoding
        sys.stdin.reconfigure(encoding=encoding, errors="surrogateescape")
    mend_temporary_folder()
    check_folders()


def check_folders() -> None:
    """Raise SurroundingsError where the current folder is gone, or a folder that a variable
    names is not UTF-8 text: libraries below end in tracebacks.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise SurroundingsError(
            f"current folder: {error.strerror}, expected one that exists. Change to another"
        ) from error
    for name in ("MLX_T2_CACHE", "MLX_T2_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HOME"):
        if (stray := find_stray_byte([os.environ.get(name, "")])) is not None:
            raise SurroundingsError(f"{name}: {stray}, expected UTF-8 text")


def open_descriptors() -> None:
    """Let descriptors 0, 1 and 2 lead somewhere: the next file opened would get the number of a
    closed one, and be read as standard input or written over as standard output.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            file = io.FileIO(descriptor, "w" if descriptor else "r", closefd=False)
            buffered = io.BufferedWriter(file) if descriptor else io.BufferedReader(file)
            setattr(sys, name, io.TextIOWrapper(buffered, encoding="utf-8"))


class _Output(io.FileIO):
    """Standard output, whose failures keep their name whoever writes."""

    def write(self, data: Any, /) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            _discard_the_rest(self.fileno())
            if error.errno == errno.EPIPE:
                raise ReaderGone from error
            raise SurroundingsError(
                f"standard output: cannot be written ({error.strerror}), expected a "
                "terminal, a pipe that is read, or a file with room"
            ) from error


class _Remarks(io.FileIO):
    """Standard error: work goes on where nobody reads the remarks on it."""

    def write(self, data: Any, /) -> int | None:
        try:
            return super().write(data)
        except OSError:
            _discard_the_rest(self.fileno())
            return len(memoryview(data).cast("B"))


def _discard_the_rest(descriptor: int) -> None:
    """Send what is still buffered nowhere, or the interpreter complains about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _guard(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    """The same stream over a descriptor of this kind. Its encoding stays, and what that cannot
    express is replaced, except bytes of file names, which pass as they are.
    """
    if not isinstance(stream, io.TextIOWrapper) or stream.fileno() not in (1, 2):
        return stream  # somebody's own, as in a test
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="t2_output",
        newline="\n",
        line_buffering=stream.line_buffering,
    )


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """File names pass as they are on disk; a question mark for all else that has no code."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


codecs.register_error("t2_output", _replace)


def find_stray_byte(words: Sequence[str]) -> str | None:
    """What `words` have that is not text, as a message; None where all is text.

    Python hands on bytes that it cannot decode as halves of surrogate pairs, which no tokenizer
    and no library below takes.
    """
    for word in words:
        for at, character in enumerate(word):
            if "\ud800" <= character <= "\udfff":
                return f"got {_as_bytes(word)}, byte {ord(character) - 0xDC00:#04x} at {at}"
    return None


def _as_bytes(word: str) -> str:
    raw = word.encode(errors="surrogateescape")
    return repr(raw if len(raw) <= 60 else raw[:57] + b"...")


def mend_temporary_folder() -> None:
    """Where TMPDIR names no folder that can be written, use the one that Python would: MLX
    asks for no other.
    """
    named = [os.environ[name] for name in ("TMPDIR", "TMP", "TEMP") if os.environ.get(name)]
    if all(map(_takes_files, named)):
        return
    import tempfile

    try:
        os.environ.update(dict.fromkeys(("TMPDIR", "TMP", "TEMP"), tempfile.gettempdir()))
    except FileNotFoundError as error:
        raise SurroundingsError(
            f"TMPDIR: no folder for temporary files can be written, tried {named[0]}, /tmp and "
            "the current one"
        ) from error


def _takes_files(folder: str) -> bool:
    """Found by trying: rights alone do not say it."""
    probe = os.path.join(folder, f".t2-{os.getpid()}")
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError:
        return False
    return True
