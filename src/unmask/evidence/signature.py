"""Check the signature of a C2PA manifest, its certificates and the hashes of the film, offline.

    labels = checked(labels_of(video), file, read_trust("trust.pem"), limits)

c2pa-python (the extra ``c2pa``) does the work, in a confined process like the decoder's: `unmask.evidence.c2pa_check`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from io import BufferedReader
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from unmask.errors import InputError, UsageError
from unmask.evidence.labels import NOT_CHECKED, plain
from unmask.facts import MAX_LABEL_TEXT, DeclaredLabel
from unmask.media import Limits, ask_file

MAX_TRUST_BYTES = 1 << 20
"""Length of a trust list."""
_CHECK = "unmask.evidence.c2pa_check:check_manifest"
"""Named, not imported: it loads the extra."""
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----")
_LABEL: TypeAdapter[DeclaredLabel] = TypeAdapter(DeclaredLabel)


def extra_version() -> str | None:
    """Return the version of c2pa-python, None where it is not installed."""
    try:
        return version("c2pa-python")
    except PackageNotFoundError:
        return None


def read_trust(path: str | os.PathLike[str]) -> str:
    """Return the certificates of a trust list, a PEM file.

    Raises:
        UsageError: It cannot be read, holds no certificate, or the extra ``c2pa`` is missing.
    """
    if extra_version() is None:
        raise UsageError("a trust list takes the extra c2pa: pip install 'unmask[c2pa]'")
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_TRUST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the trust list {os.fspath(path)}: {error}") from error
    found = _CERTIFICATE.findall(content.decode("utf-8", "replace"))
    try:
        ciphers = [base64.b64decode("".join(text.split()), validate=True) for text in found]
    except binascii.Error as error:
        raise UsageError(f"the trust list {os.fspath(path)} holds a damaged certificate: {error}") from error
    if len(content) > MAX_TRUST_BYTES or not ciphers or not all(cipher.startswith(b"\x30") for cipher in ciphers):
        raise UsageError(
            f"{os.fspath(path)} is no trust list; give a PEM file of certificates of at most {MAX_TRUST_BYTES >> 20} MB"
        )
    return "".join(f"-----BEGIN CERTIFICATE-----\n{text.strip()}\n-----END CERTIFICATE-----\n" for text in found)


def checked(
    labels: Sequence[DeclaredLabel], file: BufferedReader, trust: str | None, limits: Limits
) -> tuple[DeclaredLabel, ...]:
    """Return the labels of a file with what is known of the signature of its manifest.

    Args:
        labels: What was found in it, see `unmask.evidence.labels.labels_of`.
        file: The open file.
        trust: Certificates that are trusted, see `read_trust`; None where there is no list.
        limits: What the check may cost.
    """
    embedded = [place for place, label in enumerate(labels) if label.scheme == "c2pa" and "address" not in label.values]
    found = list(labels)
    for place in embedded:
        found[place] = (
            _checked(labels[place], file, trust, limits)
            if len(embedded) == 1
            else _unknown(labels[place], "the file holds several manifests")
        )
    return tuple(found)


def _checked(label: DeclaredLabel, file: BufferedReader, trust: str | None, limits: Limits) -> DeclaredLabel:
    if extra_version() is None:
        return _unknown(label, "that takes the extra c2pa (pip install 'unmask[c2pa]')")
    question = json.dumps({"where": label.where, "trust": trust})
    try:
        answer = ask_file(file, _CHECK, question.encode(), limits)
    except InputError as error:
        return _unknown(label, f"{error}")
    except RuntimeError:  # the library failed on it
        return _unknown(label, "the check failed")
    if isinstance(answer, str):
        return _unknown(label, answer)
    try:
        return _LABEL.validate_python(answer)
    except ValidationError:  # of a process that was taken over
        return _unknown(label, "the check failed")


def _unknown(label: DeclaredLabel, why: str) -> DeclaredLabel:
    reason = f"{label.reason.removesuffix(NOT_CHECKED)}{NOT_CHECKED[:-1]}: {why.rstrip('.')}."
    return replace(label, reason=plain(reason, MAX_LABEL_TEXT))
