"""Files within tar archives, as WebDataset keeps them: each has an address of its own that says where its bytes lie.

tar://1536+20480/clip.mp4::/data/000.tar        20,480 bytes from byte 1536 on
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from unmask.errors import UsageError

_ADDRESS = re.compile(r"tar://(\d{1,19})\+(\d{1,19})/(.*?)::(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a tar archive."""

    name: str
    """Its name there."""
    start: int
    """Its first byte in the archive."""
    size_bytes: int
    """Its length."""
    archive: str
    """Path or address of the archive."""

    @property
    def address(self) -> str:
        """What `parse` reads."""
        name = self.name.replace("%", "%25").replace("::", "%3A%3A")
        return f"tar://{self.start}+{self.size_bytes}/{name}::{self.archive}"

    @classmethod
    def parse(cls, address: str) -> Member | None:
        """Read an address; None for anything else."""
        found = _ADDRESS.fullmatch(address)
        if found is None:
            return None
        name = found[3].replace("%3A%3A", "::").replace("%25", "%")
        return cls(name, int(found[1]), int(found[2]), found[4])


def list_members(file: BinaryIO, archive: str) -> Iterator[Member]:
    """Yield the regular files of a tar archive in their order; only its headers are read.

    Args:
        file: The open archive, which can seek.
        archive: Its path or address.

    Raises:
        UsageError: It is no tar archive, or a compressed one.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.isreg() and not info.issparse():
                    yield Member(info.name, info.offset_data, info.size, archive)
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UsageError(f"{archive} cannot be listed as a tar archive without compression: {error}") from error
