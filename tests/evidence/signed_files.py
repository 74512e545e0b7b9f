"""Sign small films with certificates that are made on the spot, as cameras and generators sign theirs (C2PA)."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.evidence.label_files import TERM


@dataclass(frozen=True)
class Owner:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def owner(name: str, issuer: Owner | None = None, seconds: float = 86400) -> Owner:
    """An authority without an issuer; with one, somebody who may sign films for so many seconds."""
    key, now, is_authority = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC), issuer is None
    parent = issuer.key if issuer else key
    subject = x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(x509.NameOID.COMMON_NAME, name)
    ])  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.public_key()), critical=False)
        .add_extension(_usage(is_authority), critical=True)
    )
    if issuer:
        purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return Owner(builder.sign(parent, hashes.SHA256()), key)


def _usage(is_authority: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
              "decipher_only")  # fmt: skip
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        **dict.fromkeys(others, False),
    )


def sign(film: bytes, form: str, signer: Owner, authority: Owner) -> bytes:
    """Return a film, or a picture, of this media type with a signed manifest in it."""
    key = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    action: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": TERM}
    manifest = {
        "claim_generator_info": [{"name": "Video Maker", "version": "2.1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    settings = {
        "verify": {"verify_after_sign": False, "verify_trust": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    chain = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=signer.pem + authority.pem, private_key=key, ta_url=None)
    out = io.BytesIO()
    with (
        c2pa.Builder(json.dumps(manifest), context=c2pa.Context.from_dict(settings)) as builder,
        c2pa.Signer.from_info(chain) as pen,
    ):
        builder.sign(pen, form, io.BytesIO(film), out)
    return out.getvalue()
