"""Keep compiled networks in the user's cache folder: to compile one takes several times as long as to read it again.

They lie in ``compiled`` in ``~/.cache/unmask`` (or ``UNMASK_HOME``), each in a file named after all that it depends
on: the network, how it is to compute, the processor, and OpenVINO's version. A file that is missing, damaged, or that
others might have written counts as none. Where the user has no such folder, none is made, for who judges a clip asks
for no files; there, and where it takes no file, networks are compiled each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from unmask.runtime.openvino import compile_network, cpu_name, import_network, instructions_allowed, ov
from unmask.storage.atomic import atomic_file
from unmask.storage.home import models_home
from unmask.storage.plain import open_plain

log = logging.getLogger(__name__)

MAX_FILE_BYTES, MAX_BYTES = 64 << 20, 256 << 20
"""Longest file, and all of them together: larger networks are compiled each time, and what was not used for the longest
goes first."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def compiled_once(
    source: Sequence[str],
    build: Callable[[], ov.Model],
    precision: str = "f32",
    threads: int = 1,
    streams: int | None = 1,
) -> ov.CompiledModel:
    """Return a network that is compiled for this CPU, as `unmask.runtime.openvino.compile_network` compiles it.

    Args:
        source: Names what ``build`` returns: hashes of the files that it is made of, and of the code that makes it.
        build: Returns the network; called where it has to be compiled.
        precision: Number format as OpenVINO calls it.
        threads: Threads that compute.
        streams: Inferences that run at the same time; None lets OpenVINO choose.
    """
    settings = precision, threads, streams
    if (home := _home()) is None:
        return compile_network(build(), *settings)
    path = home / "compiled" / f"{_key(source, settings)}.blob"
    if (known := _read(path)) is not None:
        with suppress(RuntimeError):
            return import_network(known, *settings)
    compiled = compile_network(build(), *settings)
    _keep(path, compiled)
    return compiled


def _home() -> Path | None:
    """Return unmask's folder of the user; None where there is none."""
    try:
        home = models_home().parent
    except RuntimeError:  # nor is there a home of the user
        return None
    return home if home.is_dir() else None


def _key(source: Sequence[str], settings: tuple[str, int, int | None]) -> str:
    text = json.dumps([list(source), settings, cpu_name(), instructions_allowed(), ov.__version__])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(path: Path) -> bytes | None:
    """Return what was kept, and say that it was used; None where there is nothing that can be trusted."""
    try:
        with open_plain(path) as file:
            if not _is_ours(os.fstat(file.fileno())):
                return None
            digest, content = file.read(_DIGEST_BYTES), file.read(MAX_FILE_BYTES)
    except OSError:
        return None
    if hashlib.sha256(content).digest() != digest:
        return None
    with suppress(OSError):
        os.utime(path)
    return content


def _is_ours(facts: os.stat_result) -> bool:
    """Whether nobody else can have written a file: what OpenVINO reads is no format to take from strangers."""
    return not hasattr(os, "geteuid") or (facts.st_uid == os.geteuid() and not facts.st_mode & 0o022)


def _keep(path: Path, compiled: ov.CompiledModel) -> None:
    """Write a compiled network down, if it is not too large and the folder takes it; make room for it first."""
    try:
        content = compiled.export_model().getvalue()
        if len(content) > MAX_FILE_BYTES:
            return
        path.parent.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        path.unlink(missing_ok=True)  # it was no use, and may be no file
        _make_room(path.parent, len(content))
        with atomic_file(path) as file:
            Path(file.name).chmod(0o600)
            file.write(hashlib.sha256(content).digest())
            file.write(content)
    except (OSError, RuntimeError) as error:
        log.info("a network is compiled at each start: %s cannot be kept (%s)", path, error)


def _make_room(folder: Path, size_bytes: int) -> None:
    """Remove the files that were not used for the longest, also those of killed writers, until so many bytes fit in."""
    facts = sorted(((path.stat(), path) for path in folder.iterdir()), key=lambda each: -each[0].st_mtime)
    for each, path in facts:
        size_bytes += each.st_size
        if size_bytes > MAX_BYTES:
            path.unlink(missing_ok=True)
