"""Landlock: this process and its children reach no file but those below some folders.

Three system calls of Linux 5.13 and later, the same numbers on every processor. Whatever the
kernel knows to forbid is forbidden: reading and writing files, making and removing them, TCP,
devices, abstract sockets, signals to processes outside. It does not cover the metadata of files
(their names, sizes and times can be asked for, `seccomp` refuses to change them), nor sockets
before Linux 6.7, nor forks: `seccomp` does.

Runs inside the sandbox: standard library only.
Source: the kernel's Documentation/userspace-api/landlock.rst, include/uapi/linux/landlock.h.
"""

import ctypes
import os
from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Version of Landlock → number of rights on files that it knows."""


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("files", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("place", ctypes.c_int32)]


def restrict_files(libc: ctypes.CDLL, readable: Sequence[str]) -> None:
    """Allow reading below these folders and writing to the null device, nothing else, for good.

    readable: folders, or single files.
    Needs no rights, only that the process has given up gaining any (no_new_privs).
    Raises: OSError where the kernel has no Landlock.
    """
    version = _call(libc, _CREATE_RULESET, None, 0, _VERSION)
    rules = _Ruleset(
        files=(1 << _FILE_RIGHTS[min(version, 5)]) - 1,
        net=0b11 if version >= 4 else 0,
        scoped=0b11 if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(libc, _CREATE_RULESET, ctypes.byref(rules), size, 0)
    try:
        _allow(libc, ruleset, os.devnull, _READ_FILE | _WRITE_FILE)
        for path in readable:
            is_folder = os.path.isdir(path)
            _allow(libc, ruleset, path, _READ_FILE | (_READ_DIR if is_folder else 0))
        _call(libc, _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(rights, place)
        _call(libc, _ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _call(libc: ctypes.CDLL, number: int, *arguments) -> int:
    whole = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument
        for argument in arguments
    ]
    result = libc.syscall(ctypes.c_long(number), *whole)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
