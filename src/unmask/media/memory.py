"""Make memory that is a file without a name, to be shared or read like one."""

from __future__ import annotations

import os
import tempfile


def nameless_memory(size_bytes: int) -> int:
    """Return a descriptor of memory without a name; pages that are never touched cost nothing.

    Linux needs no folder for it, elsewhere it lies in that for temporary files.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("unmask")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size_bytes)
    return descriptor
