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
from struct import Struct
from struct import error as StructError

MAX_BYTES = 1_000_000
"""Longest value as bytes."""
MAX_DEPTH = 50
"""Deepest nesting of containers."""
MAX_COLLISIONS = 100
"""Most keys of one hash in a set or dictionary: more make it slow on purpose."""

Value = object
"""One of the builtin types above, or an `Opaque`."""

_HEAD = Struct("!cI")
_FLOAT = Struct("!d")
_COMPLEX = Struct("!dd")
_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_CONTAINERS = {list: b"l", tuple: b"t", set: b"s", frozenset: b"z"}
_MAKERS = {tag: kind for kind, tag in _CONTAINERS.items()}
_DICTIONARIES = (dict, Counter, OrderedDict, defaultdict)


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


class _TooLarge(Exception):
    pass


def encode(value: object, max_bytes: int = MAX_BYTES) -> bytes:
    """A value as bytes; one that is too large is opaque as a whole.

    >>> decode(encode([1, (2.5, "three")]))
    [1, (2.5, 'three')]
    """
    parts: list[bytes] = []
    try:
        _append(value, parts, [max_bytes], MAX_DEPTH)
    except _TooLarge:
        return _pack(b"o", b"a value of over 1 MB")
    except RuntimeError:  # a thread of the program changes a dictionary meanwhile
        return _pack(b"o", b"a value that changes")
    return b"".join(parts)


def _append(value: object, parts: list[bytes], room: list[int], depth: int) -> None:
    kind = type(value)
    if value is None or kind is bool:
        _put(_HEAD.pack(b"N" if value is None else b"T" if value else b"F", 0), parts, room)
    elif kind is int or kind is str or kind is bytes or kind is float or kind is complex:
        _put(_pack(*_scalar(value, room[0])), parts, room)
    elif depth == 0:
        _put(_pack(b"o", b"nested too deep"), parts, room)
    elif kind in _CONTAINERS:
        _put(_HEAD.pack(_CONTAINERS[kind], len(value)), parts, room)  # type: ignore
        for part in value:  # type: ignore
            _append(part, parts, room, depth - 1)
    elif kind in _DICTIONARIES:
        _put(_HEAD.pack(b"d", dict.__len__(value)), parts, room)  # type: ignore
        for key, part in dict.items(value):  # type: ignore
            _append(key, parts, room, depth - 1)
            _append(part, parts, room, depth - 1)
    else:
        name = type.__dict__["__name__"].__get__(kind)
        _put(_pack(b"o", name[:40].encode("utf-8", "replace")), parts, room)


def _scalar(value, room: int) -> tuple[bytes, bytes]:
    """The tag and content of a number or text."""
    kind = type(value)
    if kind is float:
        return b"f", _FLOAT.pack(value)
    if kind is complex:
        return b"c", _COMPLEX.pack(value.real, value.imag)
    if (value.bit_length() // 8 if kind is int else len(value)) > room:
        raise _TooLarge
    if kind is int:
        return b"i", value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    return (b"b", value) if kind is bytes else (b"u", value.encode("utf-8", "surrogatepass"))


def _pack(tag: bytes, content: bytes) -> bytes:
    return _HEAD.pack(tag, len(content)) + content


def _put(part: bytes, parts: list[bytes], room: list[int]) -> None:
    room[0] -= len(part)
    if room[0] < 0:
        raise _TooLarge
    parts.append(part)


def decode(data: bytes) -> Value:
    """The value of bytes that anyone may have written.

    Raises: ValueError where they are malformed.
    """
    value, end = _read(data, 0, MAX_DEPTH + 2)  # 2: what frames put around a value
    if end != len(data):
        raise ValueError("malformed value: bytes after its end")
    return value


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that begins at a place, and the place after it."""
    try:
        tag, size = _HEAD.unpack_from(data, at)
    except StructError as error:
        raise ValueError("malformed value: cut short") from error
    at += _HEAD.size
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag in _MAKERS or tag == b"d":
        if depth == 0:
            raise ValueError("malformed value: nested too deep")
        parts = []
        for _ in range(size if tag in _MAKERS else 2 * size):
            part, at = _read(data, at, depth - 1)
            parts.append(part)
        return _gather(tag, parts), at
    if size > len(data) - at:
        raise ValueError("malformed value: cut short")
    return _read_scalar(tag, data[at : at + size]), at + size


def _gather(tag: bytes, parts: list[Value]) -> Value:
    """A container of its parts. Hashes are counted first: they are cheap to forge."""
    if tag in b"lt":
        return _MAKERS[tag](parts)
    keys = parts[::2] if tag == b"d" else parts
    try:
        hashes = Counter(map(hash, keys))
    except TypeError as error:
        raise ValueError("malformed value: a key that cannot be one") from error
    if hashes and max(hashes.values()) > MAX_COLLISIONS:
        raise ValueError("malformed value: keys of one hash")
    if tag == b"d":
        return dict(zip(keys, parts[1::2], strict=True))
    return _MAKERS[tag](keys)


def _read_scalar(tag: bytes, content: bytes) -> Value:
    try:
        match tag:
            case b"i":
                return int.from_bytes(content, "big", signed=True)
            case b"f":
                return _FLOAT.unpack(content)[0]
            case b"c":
                return complex(*_COMPLEX.unpack(content))
            case b"u":
                return content.decode("utf-8", "surrogatepass")
            case b"b":
                return content
            case b"o":
                return Opaque(content.decode("utf-8", "replace")[:40])
    except (StructError, UnicodeDecodeError) as error:
        raise ValueError(f"malformed value: {error}") from error
    raise ValueError("malformed value: an unknown tag")
