"""The filter of system calls, interpreted as the kernel does: on both processors."""

import errno
import os
import struct

import pytest

from mlx_t2.sandbox.seccomp import make_filter

X86, ARM = ("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)
ALLOW, REFUSE, UNKNOWN, END = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | 38, 0x80000000
OWN, OTHER = 4711, 4712


def decide(machine, number, *arguments, processor=None):
    """What the kernel does with a system call."""
    name, code = machine
    arguments = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, processor or code, 0, *arguments)
    program, at, loaded = make_filter(name, OWN), 0, 0
    while True:
        operation, if_true, if_false, constant = program[at]
        at += 1
        match operation:
            case 0x20:
                loaded = int.from_bytes(data[constant : constant + 4], "little")
            case 0x15:
                at += if_true if loaded == constant else if_false
            case 0x35:
                at += if_true if loaded >= constant else if_false
            case 0x45:
                at += if_true if loaded & constant else if_false
            case 0x06:
                return constant


@pytest.mark.parametrize(
    ("x86", "arm", "arguments", "verdict"),
    [
        (0, 63, (), ALLOW),  # read
        (257, 56, (), ALLOW),  # openat
        (9, 222, (), ALLOW),  # mmap
        (231, 94, (), ALLOW),  # exit_group
        (56, 220, (0x3D0F00,), ALLOW),  # clone: a thread
        (56, 220, (0x1200011,), REFUSE),  # clone: a fork
        (435, 435, (), UNKNOWN),  # clone3
        (59, 221, (), REFUSE),  # execve
        (322, 281, (), REFUSE),  # execveat
        (41, 198, (), REFUSE),  # socket
        (53, 199, (), REFUSE),  # socketpair
        (42, 203, (), REFUSE),  # connect
        (62, 129, (OWN,), ALLOW),  # kill
        (62, 129, (OTHER,), REFUSE),
        (62, 129, (0,), REFUSE),
        (62, 129, (2**64 - 1,), REFUSE),
        (234, 131, (OWN,), ALLOW),  # tgkill
        (234, 131, (OTHER,), REFUSE),
        (200, 130, (OWN,), REFUSE),  # tkill
        (424, 424, (), UNKNOWN),  # pidfd_send_signal
        (425, 425, (), UNKNOWN),  # io_uring_setup
        (90, 52, (), REFUSE),  # chmod, fchmod
        (268, 53, (), REFUSE),  # fchmodat
        (260, 54, (), REFUSE),  # fchownat
        (280, 88, (), REFUSE),  # utimensat
        (188, 5, (), REFUSE),  # setxattr
        (101, 117, (), REFUSE),  # ptrace
        (310, 270, (), REFUSE),  # process_vm_readv
        (319, 279, (), REFUSE),  # memfd_create
        (165, 40, (), REFUSE),  # mount
        (272, 97, (), REFUSE),  # unshare
        (302, 261, (0, 7, 0), ALLOW),  # prlimit: read
        (302, 261, (0, 7, 1), REFUSE),
        (302, 261, (0, 7, 1 << 32), REFUSE),  # a pointer whose lower half is zero
        (72, 25, (1, 3), ALLOW),  # fcntl F_GETFL
        (72, 25, (1, 8), REFUSE),
        (72, 25, (1, 10), REFUSE),
        (72, 25, (1, 15), REFUSE),
        (16, 29, (1, 0x5401), ALLOW),  # ioctl TCGETS
        (16, 29, (1, 0x5412), REFUSE),  # ioctl TIOCSTI
        (157, 167, (15,), ALLOW),  # prctl PR_SET_NAME
        (157, 167, (1,), REFUSE),
    ],
)
def test_what_is_not_computing_is_refused(x86, arm, arguments, verdict):
    assert decide(X86, x86, *arguments) == verdict
    assert decide(ARM, arm, *arguments) == verdict


def test_the_other_numbers_of_a_processor_are_refused():
    assert decide(X86, 0x40000000 | 0) == REFUSE  # x32
    assert decide(X86, 0x40000000 | 520) == REFUSE
    assert decide(X86, 0, processor=0x40000003) == END  # 32 bits
    assert decide(ARM, 63, processor=0x40000028) == END


def test_another_processor_has_no_filter():
    with pytest.raises(OSError, match="got processor 'riscv64', expected one of x86_64, aar"):
        make_filter("riscv64", os.getpid())
