"""The levels of protection: how each is started, what it cannot stop, and what it needs.

Does not know which of them this machine has: `probe` tries them.
"""

import os
import shutil
import sys
import sysconfig

from .program import Level

PROGRAMS: dict[Level, str] = {"seatbelt": "/usr/bin/sandbox-exec", "bwrap": "bwrap"}
"""What a level is started with."""

NUMBERS: dict[Level, int] = {"seatbelt": 3, "bwrap": 3, "landlock": 2, "limits": 1}
"""How much a level stops: 3 all that follows, 1 least."""

CANNOT_STOP: dict[Level, str] = {
    "seatbelt": "use of memory, which macOS does not limit; side channels: time, and load of "
    "the processor",
    "bwrap": "side channels: time, and load of the processor",
    "landlock": "asking for names, sizes and times of files outside; side channels",
    "limits": (
        "reading and deleting the user's files, the network, signals to the user's processes, "
        "empty new files, as root new processes, and on macOS the use of memory"
    ),
}

REMEDIES: dict[Level, str] = {
    "seatbelt": "start t2 from a terminal that is not in a sandbox itself",
    "bwrap": (
        "install bubblewrap (bwrap), and allow user namespaces: outside of Docker, or with "
        "--security-opt seccomp=unconfined there; on Ubuntu 24.04 an AppArmor profile for bwrap"
    ),
    "landlock": "Linux 5.13 or later on x86_64 or aarch64, with landlock in its list of LSMs",
    "limits": "",
}

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_SHARED = (*_SYSTEM, "/usr/share/zoneinfo", "/etc/ld.so.cache")


def readable() -> list[str]:
    """All that a program may read: the standard library, and libraries of the system."""
    own = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    own.append(os.path.join(sys.base_prefix, "lib"))
    return sorted({os.path.realpath(path) for path in (*own, *_SHARED) if os.path.exists(path)})


def wrap(level: Level, room: str, interpreter: str) -> list[str]:
    """The part of the command in front of the interpreter.

    room: the empty folder that programs start in.
    """
    if level == "seatbelt":
        settings = {"PREFIX": os.path.realpath(sys.base_prefix), "PYTHON": interpreter}
        pairs = [part for name, value in settings.items() for part in ("-D", f"{name}={value}")]
        return [PROGRAMS[level], *pairs, "-p", _SEATBELT]
    if level == "bwrap":
        binds = [
            part
            for path in dict.fromkeys(("/bin", *_SHARED, "/usr/lib", sys.base_prefix))
            for part in ("--ro-bind-try", path, path)
        ]
        return [
            shutil.which(PROGRAMS[level]) or PROGRAMS[level],
            *("--unshare-all", "--die-with-parent", "--new-session", *binds),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--dir", room, "--chdir", room, "--remount-ro", "/", "--"),
        ]
    return []


_SEATBELT = """
(version 1)
(deny default)
(allow process-exec (literal (param "PYTHON")))
(allow process-fork)
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
(allow file-read* (literal "/") (subpath "/usr/lib") (subpath "/System")
    (subpath "/usr/share/zoneinfo") (subpath "/private/var/db/timezone")
    (subpath "/private/var/db/dyld") (subpath (param "PREFIX"))
    (literal "/dev/null") (literal "/dev/urandom") (literal "/dev/random"))
(allow file-write-data (literal "/dev/null"))
"""
