"""Exchange model folders with a hub: Hugging Face, or a server of one's own that speaks as it does.

Pulling needs nothing beyond the base install, and takes public repositories; pushing needs ``huggingface_hub``.
"""

from __future__ import annotations

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unmask.errors import DownloadError, ModelError, UsageError
from unmask.models.card import CARD_FILE, MODEL_FILES, Card, load_card, new_folder, verify_folder
from unmask.models.readme import readme
from unmask.net.download import OnProgress, download
from unmask.storage.atomic import scratch_folder

PREFIX = "hf:"
README_FILE = "README.md"
MAX_MODEL_BYTES = 8 << 30
"""Largest file of a model that is fetched."""

_ADDRESS = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")


def endpoint() -> str:
    """Return the address of the hub: ``$HF_ENDPOINT``, by default Hugging Face's."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def parse_address(text: str) -> tuple[str, str]:
    """Return repository and revision of ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``.

    Raises:
        UsageError: It is no such address.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or found[1].rpartition("/")[2].startswith("."):
        raise UsageError(f"{text!r} is no address on a hub; write hf:OWNER/NAME, or hf:OWNER/NAME@REVISION")
    return found[1], found[2] or "main"


def pull_folder(address: str, *, name: str | None = None, on_progress: OnProgress = lambda *_: None) -> Card:
    """Fetch a model folder into the user's models; only the files that its card names are fetched, and checked by it.

    The card and the files come from the same place: the hashes tell damage, not malice.

    Args:
        address: See `parse_address`.
        name: Of the model here; None for that of the repository.
        on_progress: Called while a file comes.

    Raises:
        DownloadError: A file cannot be fetched; the repository may be private, or not exist.
        ModelError: It is no model folder of unmask, or its files are not those of its card.
        UsageError: The address is none, or the name is taken.
    """
    repository, revision = parse_address(address)
    target = new_folder(name or repository.rpartition("/")[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    base = f"{endpoint()}/{repository}/resolve/{revision}"
    with scratch_folder(target.parent) as scratch:
        folder = scratch / "model"
        _fetch(f"{base}/{CARD_FILE}", folder / CARD_FILE, on_progress, repository)
        card = load_card(folder)
        if foreign := sorted(set(card.files) - set(MODEL_FILES)):
            raise ModelError(f"the card of {repository} names {foreign[0]!r}, which no model of unmask has")
        for file, facts in card.files.items():
            if facts.bytes > MAX_MODEL_BYTES:
                raise ModelError(
                    f"{file} of {repository} has {facts.bytes} bytes; at most {MAX_MODEL_BYTES} are fetched"
                )
            _fetch(f"{base}/{file}", folder / file, on_progress, repository)
        card = verify_folder(folder)
        folder.rename(target)
    return card


def _fetch(url: str, path: Path, on_progress: OnProgress, repository: str) -> None:
    try:
        download(url, path, on_progress, MAX_MODEL_BYTES)
    except DownloadError as error:
        raise DownloadError(f"{error}; is {repository} public, and a model folder of unmask?", error.status) from error


def push_folder(folder: Path, address: str, *, private: bool = False, token: str | None = None) -> str:
    """Put a model folder, and its card as README.md, into a repository of a hub, which is made if it is not there.

    Args:
        folder: Of the model; its files are checked by its card first.
        address: See `parse_address`; the revision is a branch.
        private: Of a repository that is made.
        token: Of the account; None for that of ``huggingface-cli login`` or ``$HF_TOKEN``.

    Returns:
        The address of what was written.

    Raises:
        DownloadError: The hub refuses it, or cannot be reached.
        ModelError: The folder is not whole.
        UsageError: The address is none, or ``huggingface_hub`` is missing.
    """
    repository, revision = parse_address(address)
    if find_spec("huggingface_hub") is None:
        raise UsageError("pushing needs huggingface_hub; install it: pip install 'unmask[hf]'")
    card = verify_folder(folder)
    from huggingface_hub import HfApi

    api: Any = HfApi(endpoint=endpoint(), token=token)
    with TemporaryDirectory() as folder_of_copies:
        scratch = Path(folder_of_copies)
        for name in (CARD_FILE, *card.files):
            shutil.copyfile(folder / name, scratch / name)
        (scratch / README_FILE).write_text(readme(card, repository), encoding="utf-8")
        try:
            if not api.repo_exists(repository):
                api.create_repo(repository, private=private)
            words = f"{card.name} {card.version}"
            done = api.upload_folder(repo_id=repository, folder_path=scratch, revision=revision, commit_message=words)
        except OSError as error:  # its errors of HTTP are OSErrors
            raise DownloadError(f"{endpoint()} does not take {repository}: {error}") from error
    return str(getattr(done, "commit_url", done))
