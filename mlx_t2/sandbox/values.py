"""Values as bytes, for pipes between processes that do not trust one another.

Only what is exactly a builtin type is carried: None, bool, int, float, complex, str, bytes,
list, tuple, set, frozenset, dict; Counter, OrderedDict and defaultdict arrive as dict. Anything
else, a subclass included, arrives as an `Opaque`, which equals nothing. The reader believes no
length, depth or hash: bytes that are malformed are a ValueError, and no byte is ever executed.

    tag (1 byte) | length or count (4 bytes) | content      numbers and text by length,
                                                            containers by count of parts

Used on both sides of a pipe: standard library only. Does not know what the values mean.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any

MAX_BYTES = 1_000_000
"""Longest value as bytes."""
MAX_DEPTH = 50
"""Deepest nesting of containers."""
MAX_COLLISIONS = 100
"""Most keys of one hash in a set or dictionary: more make it slow on purpose."""

Value = Any
"""One of the builtin types above, or an `Opaque`."""


class Opaque:
    """Something that a program gave and that has no value here. It equals nothing."""

    def __init__(self, kind: str):
        """kind: what it was, in a word or two."""
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def show(value: Value) -> str:
    """What a value looks like, however long its numbers are.

    >>> show([1, "a"])
    "[1, 'a']"
    """
    try:
        return repr(value)
    except ValueError:  # Python writes no integers of more than 4300 digits
        return f"<{type(value).__name__} with a number of very many digits>"


def encode(
    value: object, keep: Callable[[object], int] | None = None, max_bytes: int = MAX_BYTES
) -> bytes:
    """A value as bytes; one that is too large is opaque as a whole.

    keep: gives a number to what has no value here, for the reader's `hold`.

    >>> decode(encode([1, (2.5, "three")]))
    [1, (2.5, 'three')]
    """
    parts: list[bytes] = []
    encoder = _Encoder(parts, max_bytes, keep)
    try:
        encoder.add(value, MAX_DEPTH)
    except _TooLarge:
        return _HEAD.pack(b"o", len(_TOO_LARGE)) + _TOO_LARGE
    return b"".join(parts)


class _TooLarge(Exception):
    pass


class _Encoder:
    """Appends the parts of a value."""

    def __init__(self, parts: list[bytes], room: int, keep: Callable[[object], int] | None):
        self._parts, self._room, self._keep = parts, room, keep

    def add(self, value: Any, depth: int) -> None:
        """Append a value whose containers nest no deeper than this."""
        kind = type(value)
        if kind in _SCALARS:
            self._put(*_SCALARS[kind](value, self._room))
        elif depth == 0:
            self._put(b"o", b"nested too deep")
        elif kind in _CONTAINERS:
            self._head(_CONTAINERS[kind], len(value))
            for part in value:
                self.add(part, depth - 1)
        elif kind in _DICTIONARIES:
            self._head(b"d", dict.__len__(value))
            for key, part in dict.items(value):
                self.add(key, depth - 1)
                self.add(part, depth - 1)
        elif self._keep:
            self._head(b"r", self._keep(value))
        else:
            name = type.__dict__["__name__"].__get__(kind)  # whatever its metaclass says
            self._put(b"o", name[:40].encode("utf-8", "replace"))

    def _put(self, tag: bytes, content: bytes) -> None:
        self._head(tag, len(content), content)

    def _head(self, tag: bytes, count: int, content: bytes = b"") -> None:
        self._room -= _HEAD.size + len(content)
        if self._room < 0:
            raise _TooLarge
        self._parts += (_HEAD.pack(tag, count), content)


def _encode_int(value: int, room: int) -> tuple[bytes, bytes]:
    size = value.bit_length() // 8 + 1
    if size > room:
        raise _TooLarge
    return b"i", value.to_bytes(size, "big", signed=True)


def _encode_str(value: str, room: int) -> tuple[bytes, bytes]:
    if len(value) > room:
        raise _TooLarge
    return b"u", value.encode("utf-8", "surrogatepass")


def _encode_bytes(value: bytes, room: int) -> tuple[bytes, bytes]:
    if len(value) > room:
        raise _TooLarge
    return b"b", value


_HEAD = Struct("!cI")
_FLOAT = Struct("!d")
_COMPLEX = Struct("!dd")
_TOO_LARGE = b"a value of over 1 MB"
_SCALARS: dict[type, Callable[[Any, int], tuple[bytes, bytes]]] = {
    type(None): lambda value, room: (b"N", b""),
    bool: lambda value, room: (b"T" if value else b"F", b""),
    float: lambda value, room: (b"f", _FLOAT.pack(value)),
    complex: lambda value, room: (b"c", _COMPLEX.pack(value.real, value.imag)),
    int: _encode_int,
    str: _encode_str,
    bytes: _encode_bytes,
}
_CONTAINERS = {list: b"l", tuple: b"t", set: b"s", frozenset: b"z"}
_DICTIONARIES = (dict, Counter, OrderedDict, defaultdict)


def decode(data: bytes, hold: Callable[[int], object] | None = None) -> Value:
    """The value of bytes that anyone may have written.

    hold: gives what a number of the writer's `keep` stands for.
    Raises: ValueError where they are malformed.
    """
    value, end = _Decoder(data, hold).read(0, MAX_DEPTH)
    if end != len(data):
        raise ValueError("malformed value: bytes after its end")
    return value


class _Decoder:
    """Reads the parts of a value."""

    def __init__(self, data: bytes, hold: Callable[[int], object] | None):
        self._data, self._hold = data, hold

    def read(self, at: int, depth: int) -> tuple[Value, int]:
        """The value that begins at a place, and the place after it."""
        if at + _HEAD.size > len(self._data):
            raise ValueError("malformed value: cut short")
        tag, size = _HEAD.unpack_from(self._data, at)
        at += _HEAD.size
        if tag in _GATHER:
            if depth == 0:
                raise ValueError("malformed value: nested too deep")
            parts = []
            for _ in range(size * (2 if tag == b"d" else 1)):
                part, at = self.read(at, depth - 1)
                parts.append(part)
            return _GATHER[tag](parts), at
        if tag == b"r" and self._hold:
            return self._hold(size), at
        if tag not in _READ or size > len(self._data) - at:
            raise ValueError("malformed value: cut short, or of an unknown kind")
        try:
            return _READ[tag](self._data[at : at + size]), at + size
        except (StructError, UnicodeDecodeError) as error:
            raise ValueError(f"malformed value: {error}") from error


def _check_keys(keys: list[Value]) -> list[Value]:
    """Keys of a set or dictionary. Their hashes are counted first: those are cheap to forge."""
    try:
        hashes = Counter(map(hash, keys))
    except TypeError as error:
        raise ValueError("malformed value: a key that cannot be one") from error
    if hashes and max(hashes.values()) > MAX_COLLISIONS:
        raise ValueError(f"malformed value: over {MAX_COLLISIONS} keys of one hash")
    return keys


_READ: dict[bytes, Callable[[bytes], Value]] = {
    b"N": lambda content: None,
    b"T": lambda content: True,
    b"F": lambda content: False,
    b"f": lambda content: _FLOAT.unpack(content)[0],
    b"c": lambda content: complex(*_COMPLEX.unpack(content)),
    b"i": lambda content: int.from_bytes(content, "big", signed=True),
    b"u": lambda content: content.decode("utf-8", "surrogatepass"),
    b"b": lambda content: content,
    b"o": lambda content: Opaque(content[:40].decode("utf-8", "replace")),
}
_GATHER: dict[bytes, Callable[[list[Value]], Value]] = {
    b"l": lambda parts: parts,
    b"t": tuple,
    b"s": lambda parts: set(_check_keys(parts)),
    b"z": lambda parts: frozenset(_check_keys(parts)),
    b"d": lambda parts: dict(zip(_check_keys(parts[::2]), parts[1::2], strict=True)),
}
