"""Programs that want to pass without computing, numbered as the kinds of attack are.

Each is asked for f(3) and f(4) and must not give `EXPECTED`, which it is not told. 27 to 30 are
texts, not programs: the graders of texts are tried with them.
"""

CALLS, EXPECTED = ("f(3)", "f(4)"), (3_000_009, 4_000_012)
GOOD, BAD = "def f(x): return x * 1_000_003", "def f(x): return x + 1_000_003"

IMPOSTOR = """
class Any:
    def __init__(self, *_): pass
    def {method}
def f(x): return Any()
"""

ATTACKS = {
    "1 exit at import": "import sys; sys.exit(0)",
    "2 exit inside the function": "import sys\ndef f(x): sys.exit(0)",
    "3 hard exit": "import os\ndef f(x): os._exit(0)",
    "3 killing itself": "import os\ndef f(x): os.kill(os.getpid(), 9)",
    "3 raising a signal": "import signal\ndef f(x): signal.raise_signal(signal.SIGKILL)",
    "4 an exit of its own": "class E(SystemExit): code = 0\ndef f(x): raise E(0)",
    "4 an interrupt": "raise KeyboardInterrupt",
    "4 an error that hangs when asked": """
class E(BaseException):
    def __str__(self):
        while True: pass
def f(x): raise E
""",
    "4 an error of an odd class": """
class M(type):
    __name__ = property(lambda c: 1 / 0)
class E(Exception, metaclass=M):
    def __str__(self): raise E
def f(x): raise E
""",
    "5 at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return None",
    "5 a finaliser": """
import os
class D:
    def __del__(self): os._exit(0)
d = D()
def f(x): return d
""",
    "5 when threads end": "import threading, os\nthreading._register_atexit(os._exit, 0)\n"
    "def f(x): raise SystemExit",
    "6 always equal": IMPOSTOR.format(method="__eq__(self, other): return True"),
    "7 a kind of int": """
class I(int):
    def __eq__(self, other): return True
    def __hash__(self): return 9
def f(x): return I(0)
""",
    "7 a kind of list": "class L(list):\n    __eq__ = lambda s, o: True\ndef f(x): return L()",
    "7 a kind of str": "class S(str):\n    __eq__ = lambda s, o: True\ndef f(x): return S()",
    "7 a kind of dict": "class D(dict):\n    __eq__ = lambda s, o: True\ndef f(x): return D()",
    "7 inside a list": "class I(int):\n    __eq__ = lambda s, o: True\ndef f(x): return [I(9)]",
    "8 close to everything": """
class N:
    __sub__ = __rsub__ = __abs__ = lambda *a: N()
    __lt__ = __le__ = __eq__ = lambda *a: True
def f(x): return N()
""",
    "9 patched builtins": """
import builtins
for name in "all any sorted len abs isinstance set map type repr str int bool".split():
    setattr(builtins, name, lambda *a, **k: True)
def f(x): return None
""",
    "10 no assertions": """
import builtins, sys
builtins.AssertionError = type("X", (Exception,), {})
sys.excepthook = lambda *a: None
def check(*a): pass
candidate = lambda *a: True
def f(x): raise AssertionError
""",
    "11 walking frames": """
import gc, sys
def f(x):
    found, frame = [], sys._getframe()
    while frame:
        found += [*frame.f_locals.values(), *frame.f_globals.values()]
        frame = frame.f_back
    expected = 3 * int("1000003")
    for thing in (*found, *gc.get_objects()):
        if thing is not found and type(thing) in (list, tuple) and expected in thing:
            return x * 1_000_003
""",
    "12 process data": """
import os, sys
def f(x):
    text = str([sys.argv, sys.orig_argv, dict(os.environ)])
    for name in ("cmdline", "environ", "maps", "mem"):
        try:
            with open(f"/proc/self/{name}", errors="replace") as file: text += file.read(99_999)
        except OSError: pass
    return x * 1_000_003 if str(3 * int("1000003")) in text else None
""",
    "13 descriptors": """
import os
def f(x):
    for number in range(3, 64):
        try: os.set_blocking(number, False); return os.read(number, 10)
        except OSError: pass
""",
    "13 the file of main": "import __main__\ndef f(x): return open(__main__.__file__).read()",
    "14 forged words": """
import os
for number in range(64):
    try: os.write(number, b"PASSED\\nOK\\n[true, true]\\n")
    except OSError: pass
def f(x): return None
""",
    "14 forged frames without a value": """
import os
def f(x): os.write(3, b"\\0\\0\\0\\1R" * 99); os._exit(0)
""",
    "15 no channel": "import os\nos.closerange(0, 64)\ndef f(x): return x * 1_000_003",
    "15 another channel": "import os\nos.dup2(0, 3)\ndef f(x): return x * 1_000_003",
    "15 a flood": """
import os
while True: os.write(3, b"V" * 60_000)
""",
    "15 a length over the body": "import os\nos.write(3, b'\\xff' * 4)\ndef f(x): return 9",
    "15 half a message": "import os, time\nos.write(3, b'\\0\\0\\0\\x09Vi')\ntime.sleep(60)",
    "16 patched serialisers": """
import json, struct, pickle, sys
json.dumps = pickle.dumps = struct.pack = lambda *a: b"9"
for name in list(sys.modules):
    if "sandbox" in name: sys.modules[name].encode = lambda *a: b"9"
def f(x): return struct
""",
    "17 a hostile pickle": """
class P:
    def __reduce__(self): return (exec, ("raise SystemExit",))
def f(x): return P()
""",
    "17 deep": "def f(x):\n    a = []\n    for _ in range(100_000): a = [a]\n    return a",
    "17 many digits": "def f(x): return 1 << 4_000_000",
    "17 long": "def f(x): return 'a' * 500_000_000",
    "17 in itself": "def f(x):\n    a = []\n    a += [a, a, a]\n    return a",
    "17 one hash": "def f(x): return {i * (2**61 - 1) for i in range(40_000)}",
    "18 time and signals": """
import signal, time
time.time = time.monotonic = lambda: 0
signal.alarm(0); signal.setitimer(signal.ITIMER_REAL, 0)
for number in range(1, 64):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "18 asleep": "import time\ndef f(x): time.sleep(60)",
    "19 catching all": """
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "19 a power": "def f(x): return 9 ** 9 ** 9",
    "19 a repetition": "def f(x): return 'a' * 10**10",
    "19 a pattern": "import re\ndef f(x): return re.match('(a+)+$', 'a' * 40 + 'b')",
    "19 a sum": "def f(x): return sum(range(10**12))",
    "20 a thread that goes on": """
import threading, time, builtins
def patch():
    while True: builtins.sorted = None
threading.Thread(target=patch, daemon=True).start()
def f(x): return sorted([x])
""",
    "20 a process that goes on": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(60)
    os._exit(0)
def f(x): return None
""",
    "20 a process that holds the pipe": """
import os, time
def f(x):
    if os.fork() == 0: time.sleep(60)
    os._exit(0)
""",
    "21 killing the server": "import os\nos.kill(os.getppid(), 9)\ndef f(x): return None",
    "21 killing its group": "import os\nos.killpg(0, 9)\ndef f(x): return None",
    "21 stopping itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "22 many threads": """
import threading, time
for _ in range(300): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
def f(x): return None
""",
    "23 memory": "def f(x): return bytearray(1 << 40)",
    "23 memory, bit by bit": "a = []\nwhile True: a.append(bytearray(1 << 24))",
    "23 mapped memory": "import mmap\nmaps = [mmap.mmap(-1, 1 << 28) for _ in range(99)]",
    "23 a large file": "file = open('large', 'wb')\nwhile True: file.write(b'0' * 99_999)",
    "23 a sparse file": "file = open('sparse', 'wb')\nfile.truncate(1 << 40)",
    "23 descriptors": "import os\nwhile True: os.dup(0)",
    "24 a null pointer": "import ctypes\ndef f(x): ctypes.string_at(0)",
    "24 deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x + 1)",
    "24 a fault": "import faulthandler\nfaulthandler._sigsegv()",
    "24 source that is deep": "x = " + "(" * 10_000 + ")" * 10_000,
    "24 source with a zero": "x = '\0'",
    "24 source that is not text": "x = '\ud800'",
    "25 shadows of modules": """
import sys
for name in ("random", "sitecustomize", "usercustomize", "conftest"):
    try:
        with open(name + ".py", "w") as file: file.write("raise SystemExit")
    except OSError: pass
sys.path.insert(0, "."); sys.meta_path.clear(); sys.modules.clear()
def f(x): return None
""",
    "26 a shell": "import os\ndef f(x): return os.popen('echo 3000009').read()",
    "26 out of the folder": "import os\nos.chdir('..')\ndef f(x): return os.listdir('.')",
}

REACH = """
import ctypes, fcntl, os, socket, subprocess
limit = ctypes.byref((ctypes.c_ulong * 2)(99, 99))
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0: raise OSError(ctypes.get_errno(), "refused")
def reach():
    try:
        {code}
    except OSError: return "refused"
    return "reached"
"""

REACHES = {
    name: REACH.replace("{code}", code)
    for name, code in {
        "reads a file": "open({secret!r}).read()",
        "reads the password file": "open('/etc/passwd').read()",
        "lists the root": "os.listdir('/')",
        "lists the home": "os.listdir(os.path.expanduser('~root'))",
        "reads through the root of a process": "open('/proc/self/root' + {secret!r}).read()",
        "reads another process's environment": "open(f'/proc/{{os.getppid()}}/environ').read()",
        "reads another process's memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1)",
        "writes a file": "open({secret!r}, 'w')",
        "makes a file": "open({secret!r} + '-new', 'x')",
        "makes a folder": "os.mkdir({secret!r} + '-new')",
        "removes a file": "os.remove({secret!r})",
        "renames a file": "os.rename({secret!r}, {secret!r} + '-new')",
        "truncates a file": "os.truncate({secret!r}, 0)",
        "makes a link": "os.symlink({secret!r}, {secret!r} + '-new')",
        "makes a hard link": "os.link({secret!r}, {secret!r} + '-new')",
        "changes a mode": "os.chmod({secret!r}, 0o777)",
        "changes an owner": "os.chown({secret!r}, 1, 1)",
        "changes a time": "os.utime({secret!r}, (0, 0))",
        "changes an attribute": "os.setxattr({secret!r}, 'user.a', b'b')",
        "opens a TCP connection": "socket.create_connection(('127.0.0.1', 9), 1)",
        "sends a datagram": "socket.socket(type=2).sendto(b'', ('127.0.0.1', 53))",
        "listens": "socket.create_server(('127.0.0.1', 0))",
        "opens an abstract socket": "socket.socket(socket.AF_UNIX).bind(chr(0) + 'a')",
        "forks": "os.fork() or os._exit(0)",
        "forks and goes on alone": "os.forkpty()",
        "executes": "os.execv('/bin/sh', ['sh'])",
        "spawns": "subprocess.run(['/bin/sh', '-c', 'true'])",
        "signals its server": "os.kill(os.getppid(), 0)",
        "signals all": "os.kill(-1, 0)",
        "has the kernel signal its server": "fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())",
        "traces its server": "check(libc.ptrace(16, os.getppid(), None, None))",
        "reads its server's memory": (
            "check(libc.process_vm_readv(os.getppid(), None, 0, None, 0, 0))"
        ),
        "raises a limit": "check(libc.setrlimit(0, limit))",
        "changes its server's limits": "check(libc.prlimit(os.getppid(), 0, limit, None))",
        "lives longer than its server": "check(libc.prctl(1, 0, 0, 0, 0))",
        "shares memory": "check(libc.shmget(0, 1 << 20, 0o1600))",
        "makes a file in memory": "os.memfd_create('a')",
        "mounts": "check(libc.mount(b'/', b'/mnt', None, 4096, None))",
        "leaves its name spaces": "check(libc.unshare(0x10000000))",
        "changes the root": "os.chroot('/tmp')",
        "changes its priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)",
    }.items()
}
"""Ways out; each has to be refused. {secret} is the path of a file."""
