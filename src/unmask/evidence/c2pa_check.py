"""Check a manifest with c2pa-python, in the confined process that `unmask.media.ask_file` starts.

The server of decoders imports this, and with it the library, before it forks that process. The library hashes long
files in a thread of its own; where it cannot start one, its hash is wrong, and so a thread is tried first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import BufferedReader
from threading import Thread
from typing import Any

import c2pa

from unmask.evidence.c2pa import MAX_MANIFESTS, Claims, Store, claims_of
from unmask.evidence.labels import NOT_CHECKED, c2pa_label, plain
from unmask.facts import MAX_LABEL_TEXT, Signature
from unmask.runtime.jsonable import jsonable

_CONTENT = ("assertion.bmffHash", "assertion.dataHash", "assertion.boxesHash", "assertion.collectionHash")
"""How the codes begin that compare the film with the hashes in its manifest (C2PA 2.2, 15.2.2)."""
_INVALID = {
    "signingCredential.expired": "the certificate of its signer was not valid when it was made",
    "claimSignature.outsideValidity": "the certificate of its signer was not valid when it was made",
    "signingCredential.revoked": "the certificate of its signer was revoked",
    "signingCredential.ocsp.revoked": "the certificate of its signer was revoked",
    "signingCredential.invalid": "the certificate of its signer is none that may sign films",
}
"""Code -> why a signature is not valid."""


def check_manifest(file: BufferedReader, question: bytes) -> dict[str, Any] | str:
    """Return the label of a file's manifest as JSON values, or why it cannot be checked.

    What the label tells is what the library read, and so what is signed.

    Args:
        file: The open file.
        question: JSON of ``where`` the manifest lies, in words, and the certificates to ``trust``, or null.
    """
    asked = json.loads(question)
    try:
        Thread(target=str).start()
    except RuntimeError:
        return "it takes more memory than the limits allow"
    settings: dict[str, Any] = {"verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False}}
    if asked["trust"]:
        settings["trust"] = {"trust_anchors": asked["trust"]}
    file.seek(0)
    try:
        with c2pa.Reader(None, file, context=c2pa.Context.from_dict(settings)) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError.NotSupported:
        return "files of this format have no place for signed manifests"
    except c2pa.C2paError as error:
        return plain(f"it cannot be read ({error})", 200)
    return _label(found, asked["where"], is_listed=bool(asked["trust"]))


def _label(found: Mapping[str, Any], where: str, *, is_listed: bool) -> dict[str, Any] | str:
    manifests = found.get("manifests") or {}
    active = manifests.get(found.get("active_manifest"))
    if active is None:
        return "it is about no film"
    earlier = [manifest for manifest in manifests.values() if manifest is not active]
    label = c2pa_label(Store(_claims(active), tuple(map(_claims, earlier[:MAX_MANIFESTS]))), where)
    info = active.get("signature_info") or {}
    signer = plain(str(info.get("common_name") or info.get("issuer") or "unknown"))
    results = found.get("validation_results") or {}
    failures = [str(item.get("code")) for item in (results.get("activeManifest") or {}).get("failure", ())]
    signature, sentence = _judged(str(found.get("validation_state")), failures, signer, is_listed=is_listed)
    values = label.values | {"signer": signer}
    if info.get("time"):
        values["signed_at"] = plain(str(info["time"]))
    reason = plain(label.reason.removesuffix(NOT_CHECKED) + sentence, MAX_LABEL_TEXT)
    told: dict[str, Any] = jsonable(replace(label, reason=reason, values=values, signature=signature))
    return told


def _claims(manifest: Mapping[str, Any]) -> Claims:
    assertions: Iterable[Mapping[str, Any]] = manifest.get("assertions") or ()
    return claims_of(manifest, [(str(item.get("label")), item.get("data")) for item in assertions])


def _judged(state: str, failures: list[str], signer: str, *, is_listed: bool) -> tuple[Signature, str]:
    """Return what is known of a signature, in words as well."""
    if state == "Trusted":
        return "trusted", f'Its signature is valid, and its signer "{signer}" is on the trust list.'
    if state == "Valid":
        unknown = "is not on the trust list" if is_listed else "is unknown: there is no trust list (--trust)"
        return "unknown_signer", f'Its signature is valid, but its signer "{signer}" {unknown}.'
    if any(code.startswith(_CONTENT) and not code.endswith(".malformed") for code in failures):
        return "mismatch", (
            f'Its signature, which names "{signer}", does not match: the film was changed after it was signed, or the '
            "manifest is that of another one."
        )
    if any(code.endswith((".mismatch", ".missing", ".undeclared")) for code in failures):
        return "mismatch", (
            f'Its signature, which names "{signer}", does not match: the manifest was changed after it was signed.'
        )
    why = next((_INVALID[code] for code in failures if code in _INVALID), "")
    codes = ", ".join(plain(code, 60) for code in failures[:3] if code != "signingCredential.untrusted")
    return (
        "invalid",
        f'Its signature, which names "{signer}", is not valid: {why or codes or "it breaks the rules of C2PA"}.',
    )
