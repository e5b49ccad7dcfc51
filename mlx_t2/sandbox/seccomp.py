"""seccomp: the system calls that a Python program needs to compute, and no others.

What is not listed fails with EPERM: starting a process or program, sockets, signals to others,
changing a file's mode, owner, times or attributes, limits, shared memory, tracing, mounting.
A few are allowed for some arguments only. System calls from the time of clone3 on fail with
ENOSYS, as on an older kernel, so that the C library falls back to what is listed.

Runs inside the sandbox: standard library only.
Source: the kernel's Documentation/userspace-api/seccomp_filter.rst; numbers: asm/unistd_64.h,
asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

_SYSTEM_CALLS = {  # name: (x86-64, aarch64); None: this processor has none
    **{"read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66)},
    **{"pread64": (17, 67), "pwrite64": (18, 68), "lseek": (8, 62), "close": (3, 57)},
    **{"close_range": (436, 436), "open": (2, None), "openat": (257, 56)},
    **{"stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79)},
    **{"statx": (332, 291), "access": (21, None), "faccessat": (269, 48)},
    **{"faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78)},
    **{"getcwd": (79, 17), "getdents64": (217, 61), "fadvise64": (221, 223)},
    **{"dup": (32, 23), "dup2": (33, None), "dup3": (292, 24)},
    **{"pipe": (22, None), "pipe2": (293, 59), "eventfd2": (290, 19)},
    **{"poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72)},
    **{"epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None)},
    **{"epoll_pwait": (281, 22), "mmap": (9, 222), "munmap": (11, 215), "brk": (12, 214)},
    **{"mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233)},
    **{"membarrier": (324, 283), "futex": (202, 98), "set_robust_list": (273, 99)},
    **{"rseq": (334, 293), "set_tid_address": (218, 96), "sched_yield": (24, 124)},
    **{"sched_getaffinity": (204, 123), "getcpu": (309, 168), "nanosleep": (35, 101)},
    **{"clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114)},
    **{"gettimeofday": (96, 169), "time": (201, None), "times": (100, 153)},
    **{"getrusage": (98, 165), "getrlimit": (97, 163), "getrandom": (318, 278)},
    **{"getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getsid": (124, 156)},
    **{"getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176)},
    **{"getegid": (108, 177), "getgroups": (115, 158), "getpgid": (121, 155)},
    **{"getpgrp": (111, None), "uname": (63, 160), "sysinfo": (99, 179)},
    **{"exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128)},
    **{"rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139)},
    **{"sigaltstack": (131, 132), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137)},
    **{"rt_sigsuspend": (130, 133), "pause": (34, None), "alarm": (37, None)},
    **{"setitimer": (38, 103), "getitimer": (36, 102)},
}
_CLONE, _KILL, _TGKILL, _FCNTL = (56, 220), (62, 129), (234, 131), (72, 25)
_IOCTL, _PRLIMIT, _PRCTL = (16, 29), (302, 261), (157, 167)
_NEWER = 424
"""From here on the numbers are the same on all processors, and younger than Linux 5.0."""
_X32 = 0x40000000
"""Bit of the numbers of another set of calls on x86-64; with it a number is in no list."""

_PROCESSORS = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Name → what the kernel calls it, and its column above."""

_THREAD = 0x10000
"""The flag of clone that makes a thread, not a process."""
_OWNERS = (8, 10, 15)
"""fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX would have the kernel signal another process."""
_HARMLESS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""ioctl: is it a terminal, how large, how much is there to read; blocking; closed by exec."""
_SET_NAME = 15
"""prctl: PR_SET_NAME, the name of a thread."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _PROCESSOR, _ARGUMENTS = 0, 4, 16
_SET_SECCOMP, _FILTER = 22, 2

Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip if true, to skip if false, constant."""

_ALLOW: Instruction = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE: Instruction = (_RETURN, 0, 0, 0x50000 | errno.EPERM)
_UNKNOWN: Instruction = (_RETURN, 0, 0, 0x50000 | 38)  # ENOSYS of Linux
_END: Instruction = (_RETURN, 0, 0, 0x80000000)


def restrict_calls(libc: ctypes.CDLL) -> None:
    """Allow this process the listed system calls alone, for good.

    Raises: OSError on another processor, and where the kernel has no filters.
    """
    program = make_filter(os.uname().machine, os.getpid())
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    if libc.prctl(_SET_SECCOMP, _FILTER, header, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def make_filter(machine: str, pid: int) -> list[Instruction]:
    """The filter of a process, as instructions that the kernel runs at every system call.

    machine: the processor's name.
    Raises: OSError where its numbers are not known.
    """
    if machine not in _PROCESSORS:
        raise OSError(
            f"seccomp: got processor {machine!r}, expected one of {', '.join(_PROCESSORS)}"
        )
    processor, column = _PROCESSORS[machine]
    own = [_load(0), (_EQUAL, 0, 1, pid), _ALLOW, _REFUSE]
    rules = {
        _CLONE: [_load(0), (_ANY_BIT, 0, 1, _THREAD), _ALLOW, _REFUSE],
        _KILL: own,
        _TGKILL: own,
        _PRCTL: [_load(0), (_EQUAL, 0, 1, _SET_NAME), _ALLOW, _REFUSE],
        _FCNTL: [_load(1), *_find(_OWNERS), _ALLOW, _REFUSE],
        _IOCTL: [_load(1), *_find(_HARMLESS), _REFUSE, _ALLOW],
        # limits may be read, not set: the pointer to new ones is 64 bits of zero
        _PRLIMIT: [
            *(_load(2), (_EQUAL, 0, 3, 0), (_LOAD, 0, 0, _ARGUMENTS + 20), (_EQUAL, 0, 1, 0)),
            *(_ALLOW, _REFUSE),
        ],
    }
    rules |= {numbers: [_ALLOW] for numbers in _SYSTEM_CALLS.values()}
    program = [
        *((_LOAD, 0, 0, _PROCESSOR), (_EQUAL, 1, 0, processor), _END),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers, rule in rules.items():
        if (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, len(rule), number), *rule]
    return [*program, (_AT_LEAST, 1, 0, _X32), (_AT_LEAST, 1, 0, _NEWER), _REFUSE, _UNKNOWN]


def _load(argument: int) -> Instruction:
    """The lower half of an argument: as much as an int has."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _find(values: Sequence[int]) -> list[Instruction]:
    """Skip the instruction after these where the loaded value is one of them."""
    return [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
