"""Takes from a process all that the code of a function must not do. Linux only; no turning back.

Runs in the process of a function, which imports it by its path: it needs the standard library
alone. What is left afterwards is computing and talking over the pipes that are open.

=========  =====================================================================================
files      Landlock: of all files, only those of the standard library can be read. On a kernel
           without it no file can be opened any more, and what may be imported is imported before
the rest   seccomp: only listed system calls work. No sockets, no processes, no threads, no
           signals to others, no look into other processes
memory     RLIMIT_AS; besides, no core files, nothing written to files, few open files
root       all capabilities go; so does the user id, where the standard library stays readable
=========  =====================================================================================
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

__all__ = ["CLOSED", "LANDLOCK", "available", "confine"]

LANDLOCK = "landlock"
CLOSED = "closed"
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ = 1 << 2 | 1 << 3
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights on files each version of Landlock knows; 16 from the fifth on."""
_NOBODY = 65534
_SHARED = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_PRELOADED = """
    _strptime base64 bisect calendar collections copy dataclasses datetime decimal difflib enum
    fractions functools hashlib heapq hmac html ipaddress itertools json math operator random re
    secrets statistics string textwrap time traceback typing unicodedata urllib.parse uuid
    zoneinfo
"""
# By machine: the kernel's name of the architecture, its system calls, those for capabilities,
# opening files, fcntl and ioctl.
_X86 = (
    0xC000003E,
    "0 1 3 4 5 6 7 8 9 10 11 12 13 14 15 17 20 21 23 24 25 28 32 35 39 60 63 79 89 96 97 98 99 100 "
    "102 104 107 108 110 131 186 201 202 204 217 218 219 228 229 230 231 262 267 269 270 271 273 "
    "318 324 332 334 439",
    126, (2, 257), 72, 16,
)  # fmt: skip
_ARM = (
    0xC00000B7,
    "17 23 48 57 61 62 63 64 66 67 72 73 78 79 80 93 94 96 98 99 101 113 114 115 123 124 128 132 "
    "134 135 139 153 160 163 165 169 172 173 174 175 176 177 178 179 214 215 216 222 226 233 278 "
    "283 291 293 439",
    91, (56,), 25, 29,
)  # fmt: skip
_MACHINES = {"x86_64": _X86, "aarch64": _ARM}
_FCNTL = (0, 1, 2, 3, 1030)
"""Duplicating, and reading flags: not who gets which signal."""
_IOCTL = (0x5401, 0x5450, 0x5451)
"""Whether it is a terminal, and closing on exec."""
_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_SET_SECCOMP = 1, 21, 22
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000


def available() -> str:
    """``landlock`` or ``closed``: how files are kept from functions. Raises OSError: not at all."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        raise OSError(
            "functions run only where they can be confined: on Linux, x86_64 or aarch64; this is "
            f"{sys.platform}, {platform.machine()}"
        )
    if _libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        raise OSError("functions can't be confined here: the kernel has no seccomp")
    return LANDLOCK if _landlock_version() > 0 else CLOSED


def confine(files: str, memory: int, parent: int) -> None:
    """Give everything up; ``memory`` bytes may be taken beyond what is taken already.

    Raises OSError when any of it is not possible: then no code of a user may run.
    """
    machine = _MACHINES[platform.machine()]
    if files == CLOSED:
        for name in _PRELOADED.split():
            importlib.import_module(name)
    readable = _library()
    _limit(memory)
    _drop_root(machine[2], files == CLOSED or _is_open_to_all(readable[0]))
    libc = _libc()
    _call(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        raise OSError("Penstock has ended")
    _call(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))
    _call(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if files == LANDLOCK:
        _keep_files(readable)
    _filter(_program(machine, opens=files == LANDLOCK))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"a function can't be confined: {os.strerror(number)}")
    return result


def _library() -> list[Path]:
    """Folders that modules of the standard library are loaded from, its own first."""
    found = [Path(os.__file__).parent, *map(Path, sys.path), *map(Path, _SHARED)]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _is_open_to_all(folder: Path) -> bool:
    """Whether any user may read below a folder."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _limit(memory: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    taken = pages * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_AS, taken + memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (most, most))


def _drop_root(capset: int, user_too: bool) -> None:
    if os.geteuid() == 0 and user_too:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    _call(_libc().syscall(capset, header, ctypes.create_string_buffer(24)))


# Files ------------------------------------------------------------------------------------------


def _landlock_version() -> int:
    return int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def _keep_files(readable: list[Path]) -> None:
    """From here on only what lies below these folders can be opened, and only for reading."""
    libc = _libc()
    version = _call(_landlock_version())
    bits = (1 << _FS_BITS.get(version, 16)) - 1
    network, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rights = struct.pack("<QQQ", bits, network, scoped)[:size]
    ruleset = _call(libc.syscall(_CREATE, rights, ctypes.c_size_t(size), 0))
    for folder in readable:
        handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("<Qi", _READ, handle))
        _call(libc.syscall(_ADD, ruleset, 1, rule, 0))
        os.close(handle)
    _call(libc.syscall(_RESTRICT, ruleset, 0))
    os.close(ruleset)


# System calls -----------------------------------------------------------------------------------


def _program(machine: tuple[int, str, int, tuple[int, ...], int, int], *, opens: bool) -> bytes:
    """A filter in the kernel's language: load, compare and jump, return."""
    arch, names, _, opening, fcntl, ioctl = machine
    allowed = sorted({*map(int, names.split()), *(opening if opens else ())})
    lines = [_load(4), _unless(arch), _return(_KILL), _load(0)]
    for number in allowed:
        lines += [_skip_unless(number), _return(_ALLOW)]
    for number, commands in ((fcntl, _FCNTL), (ioctl, _IOCTL)):
        checks = [_load(24)]  # the low half of the second argument
        for command in commands:
            checks += [_skip_unless(command), _return(_ALLOW)]
        lines += [_skip_unless(number, 2 * len(commands) + 2), *checks, _return(_REFUSE)]
    return b"".join([*lines, _return(_REFUSE)])


def _load(offset: int) -> bytes:
    return struct.pack("<HBBI", 0x20, 0, 0, offset)


def _unless(value: int) -> bytes:
    """Leave out the next line when the value is this."""
    return struct.pack("<HBBI", 0x15, 1, 0, value)


def _skip_unless(value: int, lines: int = 1) -> bytes:
    """Leave out the next lines unless the value is this."""
    return struct.pack("<HBBI", 0x15, 0, lines, value)


def _return(what: int) -> bytes:
    return struct.pack("<HBBI", 0x06, 0, 0, what)


def _filter(program: bytes) -> None:
    body = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(body))
    _call(_libc().prctl(_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(head), 0, 0))
