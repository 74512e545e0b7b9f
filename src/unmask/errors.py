"""Define all errors that unmask raises on purpose.

    UnmaskError
    ├── InputError              the file cannot be judged; carries the row's status
    │   ├── UnreadableError     status "unreadable": broken, empty, not media, not a regular file
    │   │   └── ChangedError    the same: it was changed while it was read
    │   ├── UnsupportedError    status "unsupported": a format or codec outside the allow-list
    │   ├── NoVideoError        status "no_video": sound only, or a cover image
    │   ├── LimitError          status "rejected_limit": larger than the limits allow
    │   ├── TimedOutError       status "timeout": decoding took longer than the limits allow
    │   └── CrashedError        status "crashed": the file brought its decoder down
    ├── ModelError              a model folder is missing, damaged or does not fit
    ├── DownloadError           a file cannot be fetched; carries the row's status, where an address is scanned
    └── UsageError              an argument does not make sense

Messages say what happened, what is allowed, and what to do next.
"""

from __future__ import annotations

import errno
from typing import Literal

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Numbers of errors that lie with the disk: the next write would fail as well."""

READ_FAULTS = (errno.EIO, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.EHOSTDOWN)
"""Numbers of errors of a disk or a network drive that gives a file's bytes no more."""


class UnmaskError(Exception):
    """Base of all errors that unmask raises on purpose."""


class InputError(UnmaskError):
    """A file cannot be judged. ``status`` is the word its row carries."""

    status: Literal["unreadable", "unsupported", "no_video", "rejected_limit", "timeout", "crashed"] = "unreadable"


class UnreadableError(InputError):
    """The file is missing, empty, broken or no media file."""

    status = "unreadable"


class ChangedError(UnreadableError):
    """The file was changed while it was read: neither its hash nor what was seen of it holds."""


class UnsupportedError(InputError):
    """The container or codec is not one that unmask decodes."""

    status = "unsupported"


class NoVideoError(InputError):
    """The file holds no moving images."""

    status = "no_video"


class LimitError(InputError):
    """The file asks for more than the limits allow."""

    status = "rejected_limit"


class TimedOutError(InputError):
    """Decoding took longer than the limits allow."""

    status = "timeout"


class CrashedError(InputError):
    """The file brought the process that decoded it down."""

    status = "crashed"


class ModelError(UnmaskError):
    """A model folder is missing, damaged or does not fit the request."""


class DownloadError(UnmaskError):
    """A file cannot be fetched: no network, no such file, or a server that may not be trusted.

    ``status`` is the word that the row of a scanned address carries.
    """

    def __init__(self, message: str, status: Literal["unreadable", "rejected_limit", "timeout"] = "unreadable") -> None:
        super().__init__(message)
        self.status: Literal["unreadable", "rejected_limit", "timeout"] = status


class UsageError(UnmaskError):
    """An argument or a combination of arguments makes no sense."""
