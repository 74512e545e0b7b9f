"""From a published file to a model that `unmask scan --model NAME` takes."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from unmask.errors import DownloadError, ModelError, UsageError
from unmask.models.card import Card, load_card, new_folder, verify_folder
from unmask.models.checkpoints.checkpoint import MAX_FILE_BYTES
from unmask.models.checkpoints.convert import FOLDER, Job, run_converter
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS, RELEASES, look_up
from unmask.net.address import check_address, is_address
from unmask.net.download import OnProgress, download
from unmask.storage.atomic import atomic_file, scratch_folder
from unmask.storage.home import models_home

TIMEOUT_SECONDS = 3600.0

_NEEDED = ("torch", "timm", "safetensors", "onnxscript")

Say = Callable[[str], None]
"""Called with a sentence at each step."""


def import_checkpoint(
    source: str | Path,
    kind: str,
    *,
    name: str | None = None,
    weights: str | None = None,
    on_progress: OnProgress = lambda *_: None,
    say: Say = lambda _: None,
) -> Card:
    """Turn a published checkpoint into a model of this user's.

    Args:
        source: A file, or an https address.
        kind: Name in `CHECKPOINT_KINDS`.
        name: Name of the model; None for that of the release the file belongs to, or else kind and hash, or the kind
            alone where there is one file of it.
        weights: Which of several sets of weights in the file, such as ``state_dict_ema``; None for the usual one.
        on_progress: Called while a download runs.
        say: Called with a sentence at each step.

    Returns:
        The model's card.

    Raises:
        DownloadError: It cannot be fetched.
        ModelError: It is not a whole checkpoint of this kind, and nothing else.
        UsageError: An unknown kind, a name that is taken, or torch is missing.
    """
    look_up("kind", CHECKPOINT_KINDS, kind)
    _check_installed()
    text = str(source)
    file_name = unquote(urlsplit(text).path.rpartition("/")[2]) if is_address(text) else Path(source).name
    name = name or _released_name(file_name, kind)
    if name is not None:
        new_folder(name)
    if is_address(text):
        return _fetch_and_convert(text, text, kind, name, on_progress, say, weights)
    return _convert(Path(source), _sha256(Path(source)), kind, name, file_name, say, weights)


def pull(
    release: str,
    model: str,
    *,
    base_url: str | None = None,
    on_progress: OnProgress = lambda *_: None,
    say: Say = lambda _: None,
) -> Card:
    """Fetch one file of a release and make its model; one that is there and whole is left as it is.

    Args:
        release: Name in `RELEASES`.
        model: One of its names.
        base_url: A mirror; None for the place of the release.
        on_progress: Called while the download runs.
        say: Called with a sentence at each step.

    Returns:
        The model's card.

    Raises:
        DownloadError: It cannot be fetched; the message says how to do that by hand.
        ModelError: The file is not the one that was fetched before, or is no whole checkpoint.
        UsageError: There is no such release, or torch is missing.
    """
    found = look_up("release", RELEASES, release)
    file_name = look_up("model of this release", found.files, model)
    _check_installed()
    origin = found.base_url + file_name
    if _is_there(model, origin):
        say(f"{model} is there already")
        return load_card(models_home() / model)
    new_folder(model)
    url = f"{base_url.rstrip('/')}/{file_name}" if base_url else origin
    try:
        return _fetch_and_convert(url, origin, found.kind, model, on_progress, say)
    except DownloadError as error:
        raise DownloadError(
            f"{error}\nTo go on without this machine's network, fetch {origin} (see {found.page_url}) elsewhere, "
            f"copy it here and run: unmask models import {file_name} --as {found.kind}"
        ) from error


def _is_there(model: str, origin: str) -> bool:
    """Whether a model was made from this file before, and is whole."""
    folder = models_home() / model
    try:
        return verify_folder(folder).training.get("checkpoint", {}).get("from") == origin
    except ModelError as error:
        if folder.exists():
            raise ModelError(f"{error}; to fetch it anew, remove {folder}") from error
        return False


def _fetch_and_convert(
    url: str,
    origin: str,
    kind: str,
    name: str | None,
    on_progress: OnProgress,
    say: Say,
    weights: str | None = None,
) -> Card:
    """Download and convert; the file goes when it was converted or refused, its hash stays where it was converted."""
    folder = models_home().parent / "downloads"
    file, ledger = folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:16]}.pth", folder / "sha256.json"
    known = _read_ledger(ledger)
    check_address(url)
    if not file.exists():
        download(url, file, on_progress, MAX_FILE_BYTES)
    digest = _sha256(file)
    say(f"sha256 {digest}  {url}")
    try:
        if known.get(origin, digest) != digest:
            raise ModelError(
                f"{url} is not the file that was fetched before: that one's sha256 was {known[origin]}. It was "
                f"replaced or tampered with; if you trust the new one, remove the line from {ledger}"
            )
        card = _convert(file, digest, kind, name, origin, say, weights)
    except ModelError:
        file.unlink()
        raise
    with atomic_file(ledger) as out:
        out.write(json.dumps(_read_ledger(ledger) | {origin: digest}, indent=1).encode() + b"\n")
    file.unlink()
    return card


def _convert(
    file: Path, digest: str, kind: str, name: str | None, origin: str, say: Say, weights: str | None = None
) -> Card:
    """Let the isolated process make the model, look at what it made, and give it its place."""
    name = name or (kind if CHECKPOINT_KINDS[kind].only else f"{kind}-{digest[:8]}")
    target = new_folder(name)
    say(f"checking and converting {origin} ...")
    job = Job(str(file.absolute()), digest, origin, name, CHECKPOINT_KINDS[kind], weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent) as scratch:
        try:
            answer = run_converter(job, scratch, TIMEOUT_SECONDS)
        except ModelError as error:
            raise ModelError(f"{origin} is refused: {error}") from error
        card = verify_folder(scratch / FOLDER)
        (scratch / FOLDER).rename(target)
    if answer.other_weights:
        others = " or ".join(answer.other_weights)
        say(f"of several sets of weights, {answer.weights} was taken; --weights {others} takes another")
    return card


def _check_installed() -> None:
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise UsageError(f"converting needs {', '.join(missing)}; install it: pip install 'unmask[train]'")


def _released_name(file_name: str, kind: str) -> str | None:
    """Return the name of the model that a release makes of such a file."""
    for release in RELEASES.values():
        for model, released in release.files.items():
            if released == Path(file_name).stem and release.kind == kind:
                return model
    return None


def _sha256(file: Path) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode) or file.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(f"{file} is no file, or one of more than {MAX_FILE_BYTES >> 30} gigabytes")
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error


def _read_ledger(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the recorded hashes, {path}: {error}; repair or remove it") from error
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
