"""A kernel that keeps in mind what a process asked of it, for guards that the kernel at hand may not have."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass, field

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""What a filter of system calls may answer (linux/seccomp.h)."""
ALL_CAPABILITIES = (1 << 41) - 1
NEW_NETWORK, NEW_USER = 0x40000000, 0x10000000


@dataclass
class Kernel:
    """Stands for the C library; what it lacks fails as it does there."""

    landlock: int = 7
    """Version of Landlock; 0 for a kernel without it."""
    may_leave: tuple[int, ...] = (NEW_NETWORK, NEW_NETWORK | NEW_USER)
    """Flags with which a process may move to name spaces of its own."""
    may_change: bool = True
    """Whether prctl, capset and Landlock do anything."""
    may_restrict: bool = True
    """Whether rules of Landlock can be put in force."""
    permitted: int = ALL_CAPABILITIES
    effective: int = ALL_CAPABILITIES
    inheritable: int = 1 << 13
    bounding: int = ALL_CAPABILITIES
    ambient: int = 1 << 13
    moved: list[int] = field(default_factory=list)
    """Flags of the name spaces that the process moved to."""
    ruleset: bytes = b""
    """What Landlock was asked to handle."""
    rules: int = -1
    """Descriptor of these rules."""
    is_restricted: bool = False
    """Whether these rules are in force."""
    flags: dict[int, object] = field(default_factory=dict)
    """Option of prctl -> its value."""
    program: list[tuple[int, int, int, int]] = field(default_factory=list)
    """The filter of system calls."""

    def prctl(self, option: int, *values: object) -> int:
        """Set a property of the process; PR_CAPBSET_DROP is 24, PR_CAP_AMBIENT 47, PR_SET_SECCOMP 22."""
        if not self.may_change:
            return self._fail(errno.EINVAL)
        if option == 24:
            if not self.permitted >> values[0] & 1:
                return self._fail(errno.EPERM)
            self.bounding &= ~(1 << values[0])
        elif option == 47 and values[0] == 4:  # PR_CAP_AMBIENT_CLEAR_ALL
            if values[1:] != (0, 0, 0):
                return self._fail(errno.EINVAL)
            self.ambient = 0
        elif option == 22 and values[0] == 2:  # SECCOMP_MODE_FILTER
            length, at = struct.unpack("HxxxxxxP", values[1].raw[:16])
            self.program = list(struct.iter_unpack("HBBI", ctypes.string_at(at, 8 * length)))
        else:
            self.flags[option] = values[0]
        return 0

    def unshare(self, flags: int) -> int:
        """Move to new name spaces."""
        if flags not in self.may_leave:
            return self._fail(errno.EPERM)
        self.moved.append(flags)
        return 0

    def syscall(self, number: int, *values: ctypes._SimpleCData) -> int:
        """Make (444) or enforce (446) rules of Landlock."""
        if not self.landlock:
            return self._fail(errno.ENOSYS)
        if number == 444 and values[0] is None:
            return self.landlock
        if not self.may_change:
            return self._fail(errno.EPERM)
        if number == 444:
            self.ruleset, self.rules = values[0], os.open(os.devnull, os.O_RDONLY)
            return self.rules
        if not self.may_restrict:
            return self._fail(errno.E2BIG)
        self.is_restricted = (values[0].value, values[1].value) == (self.rules, 0)
        return 0

    def capget(self, _: object, data: ctypes.Array) -> int:
        """Tell the capabilities of the process, low 32 bits, then high ones."""
        if not self.permitted and not self.may_change:
            return self._fail(errno.EPERM)
        sets = (self.effective, self.permitted, self.inheritable)
        data.raw = struct.pack("6I", *(part & 0xFFFFFFFF for part in sets), *(part >> 32 for part in sets))
        return 0

    def capset(self, _: object, data: ctypes.Array) -> int:
        """Set them."""
        if not self.may_change:
            return self._fail(errno.EPERM)
        words = struct.unpack("6I", data.raw[:24])
        self.effective, self.permitted, self.inheritable = (
            low | high << 32 for low, high in zip(words[:3], words[3:], strict=True)
        )
        return 0

    def decide(self, architecture: int, number: int, *arguments: int) -> int:
        """Return what the filter answers to a system call: run its program, as the kernel does."""
        call = struct.pack("IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
        at = value = 0
        while True:
            code, if_true, if_false, constant = self.program[at]
            at += 1
            match code:
                case 0x20:  # load
                    (value,) = struct.unpack_from("I", call, constant)
                case 0x15:  # equal
                    at += if_true if value == constant else if_false
                case 0x45:  # has a bit
                    at += if_true if value & constant else if_false
                case 0x06:
                    return constant
                case _:
                    raise ValueError(f"{code:#x} is no instruction of such a filter")

    def _fail(self, number: int) -> int:
        ctypes.set_errno(number)
        return -1
