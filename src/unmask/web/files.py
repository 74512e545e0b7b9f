"""The files of the service: uploads on their way in, media by their hash, and results by hash and settings.

    data/
      jobs.sqlite        the database, unless it is PostgreSQL
      incoming/          uploads and downloads that are not whole yet
      media/<sha256>     files that were handed in
      results/<sha256>-<settings hash>/   verdict.json, report.html, thumbnail.jpg

No name that a client chose is ever the name of a file.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from unmask.storage.lock import lock_file

VERDICT, REPORT, THUMBNAIL = "verdict.json", "report.html", "thumbnail.jpg"


class DataFolder:
    """The data folder of one running service; a second service on it is refused."""

    def __init__(self, root: Path) -> None:
        """Make the folders, which only this user can read, and hold them.

        Raises:
            UsageError: Another service holds the folder, or it cannot be written.
            OSError: It cannot be made.
        """
        self.root = root.absolute()
        self.incoming, self.media, self.results = (self.root / name for name in ("incoming", "media", "results"))
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.incoming, self.media, self.results):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = lock_file(self.root / "lock", self.root)

    def open_incoming(self) -> tuple[Path, BinaryIO]:
        """Open a new file for something that comes in."""
        path = self.incoming / secrets.token_hex(16)
        return path, path.open("xb", buffering=0)

    def media_file(self, sha256: str) -> Path:
        """Return where the file of this content lies."""
        return self.media / sha256

    def keep(self, incoming: Path, sha256: str) -> None:
        """Give a whole file its place; what lies there already has the same content."""
        incoming.replace(self.media_file(sha256))

    def result_folder(self, key: str) -> Path:
        """Return where the result of this key lies, see `Job.key`."""
        return self.results / key

    def remove_media(self, sha256: str) -> None:
        """Remove a file."""
        self.media_file(sha256).unlink(missing_ok=True)

    def remove_result(self, key: str) -> None:
        """Remove a result."""
        shutil.rmtree(self.result_folder(key), ignore_errors=True)

    def sweep(self, keys: set[tuple[str, str]]) -> None:
        """Remove what a killed service left, which no job knows.

        Args:
            keys: Content and settings of all jobs.
        """
        contents, results = {sha256 for sha256, _ in keys}, {f"{sha256}-{settings}" for sha256, settings in keys}
        for path in self.incoming.iterdir():
            path.unlink(missing_ok=True)
        for path in self.media.iterdir():
            if path.name not in contents:
                path.unlink(missing_ok=True)
        for path in self.results.iterdir():
            if path.name not in results:
                shutil.rmtree(path, ignore_errors=True)

    def free_bytes(self) -> int:
        """Return how much room is left on the disk."""
        return shutil.disk_usage(self.root).free

    def close(self) -> None:
        """Give the folder up."""
        with suppress(OSError):
            os.unlink(self.root / "lock")  # noqa: PTH108 - while it is held, so that no other service's is removed
        self._lock.close()
