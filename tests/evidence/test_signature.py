"""Signatures of C2PA manifests: a valid one is told with its signer; what was changed, expired or hostile is none."""

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.evidence.label_files import Content, manifest_store, write
from tests.media_factory import pattern, write_video
from unmask.cli import app
from unmask.errors import UsageError
from unmask.evidence import signature
from unmask.evidence.labels import labels_of, read_labels
from unmask.evidence.signature import MAX_TRUST_BYTES, checked, read_trust
from unmask.facts import DeclaredLabel
from unmask.media import Limits, open_regular, open_video_file
from unmask.report.words import declared_text

c2pa = pytest.importorskip("c2pa")
from tests.evidence.signed_files import owner, sign  # noqa: E402 - it takes the extra

AUTHORITY = owner("An authority")
SIGNER = owner("A camera", AUTHORITY)


@pytest.fixture(scope="module")
def trust(tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "trust.pem"
    path.write_bytes(b"# who may sign\n" + AUTHORITY.pem)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "a.mp4", [pattern(i) for i in range(12)]).read_bytes()


@pytest.fixture(scope="module")
def signed(film):
    return sign(film, "video/mp4", SIGNER, AUTHORITY)


def told(path, trust=None, content=None, *, isolate=True):
    if content is not None:
        path.write_bytes(content)
    limits, listed = Limits(isolate=isolate), None if trust is None else read_trust(trust)
    with open_regular(path) as file, open_video_file(file, "0" * 64, limits, readers=[read_labels]) as video:
        (label,) = checked(labels_of(video), file, listed, limits)
    return label


def changed(content, place):
    flipped = bytearray(content)
    flipped[place] ^= 1
    return bytes(flipped)


@pytest.mark.parametrize("isolate", [True, False])
def test_a_whole_film_is_trusted_and_names_its_signer(tmp_path, signed, trust, isolate):
    label = told(tmp_path / "a.mp4", trust, signed, isolate=isolate)
    assert (label.signature, label.says, label.where) == ("trusted", "generated", "C2PA box")
    assert label.values["signer"] == "A camera"
    assert label.values["claim_generator"] == "Video Maker 2.1"
    assert label.reason == (
        'The file carries a C2PA manifest (C2PA box) by "Video Maker 2.1": it declares the film made by a trained '
        'model (trainedAlgorithmicMedia). Its signature is valid, and its signer "A camera" is on the trust list.'
    )


def test_an_unknown_signer(tmp_path, signed):
    assert "there is no trust list (--trust)" in told(tmp_path / "a.mp4", None, signed).reason
    others = tmp_path / "others.pem"
    others.write_bytes(owner("Another authority").pem)
    label = told(tmp_path / "a.mp4", others)
    assert label.signature == "unknown_signer"
    assert label.reason.endswith('Its signature is valid, but its signer "A camera" is not on the trust list.')


def test_a_film_that_was_changed(tmp_path, signed, trust):
    label = told(tmp_path / "a.mp4", trust, changed(signed, signed.rindex(b"mdat") + 1500))
    assert label.signature == "mismatch"
    assert "the film was changed after it was signed" in label.reason
    assert told(tmp_path / "a.mp4", trust, signed + b"\0\0\0\x0cmdatmore").signature == "mismatch"


@pytest.mark.parametrize("what", [b"Video Maker", b"trainedAlgorithmicMedia", b"c2pa.created"])
def test_a_manifest_that_was_changed(tmp_path, signed, trust, what):
    label = told(tmp_path / "a.mp4", trust, changed(signed, signed.index(what)))
    assert label.signature == "mismatch"
    assert "the manifest was changed after it was signed" in label.reason


def test_a_manifest_of_another_film(tmp_path, signed, trust):
    other = write_video(tmp_path / "b.mp4", [pattern(i) for i in range(40, 48)]).read_bytes()
    at = signed.index(b"uuid") - 4
    store = signed[at : at + int.from_bytes(signed[at : at + 4], "big")]
    label = told(tmp_path / "a.mp4", trust, other + store)
    assert label.signature == "mismatch"
    assert "or the manifest is that of another one" in label.reason


def test_a_certificate_that_had_expired(tmp_path, film, trust):
    content = None
    for seconds in (2, 8, 32):  # on a busy machine it has expired before it could sign
        late = owner("A late camera", AUTHORITY, seconds=seconds)
        with suppress(c2pa.C2paError):
            content = sign(film, "video/mp4", late, AUTHORITY)
            break
    while datetime.now(UTC) <= late.certificate.not_valid_after_utc + timedelta(seconds=1):  # it has whole seconds
        time.sleep(0.05)
    label = told(tmp_path / "a.mp4", trust, content)
    assert label.signature == "invalid"
    assert "the certificate of its signer was not valid when it was made" in label.reason


@pytest.mark.parametrize("length", [0, 7, 1 << 24, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", [b"jumb", b"jumd", b"cbor"])
def test_hostile_lengths_are_no_signatures_and_cost_no_verdict(tmp_path, signed, trust, kind, length):
    at = signed.index(kind) - 4
    path = tmp_path / "a.mp4"
    path.write_bytes(signed[:at] + length.to_bytes(4, "big") + signed[at + 4 :])
    with open_regular(path) as file, open_video_file(file, "0" * 64, Limits(), readers=[read_labels]) as video:
        found = checked(labels_of(video), file, read_trust(trust), Limits())
    # A superbox whose length goes beyond the file's end is read to its end, as it is where it says nothing.
    assert all(label.signature in ("not_checked", "mismatch") or kind == b"jumb" for label in found)
    assert all(label.reason.isprintable() for label in found)


def test_several_manifests_are_not_checked(tmp_path, film, signed, trust):
    other = sign(film, "video/mp4", owner("Another camera", AUTHORITY), AUTHORITY)
    at = other.index(b"uuid") - 4
    label = told(tmp_path / "a.mp4", trust, signed + other[at : at + int.from_bytes(other[at : at + 4], "big")])
    assert label.signature == "not_checked"
    assert "more than one manifest" in label.reason
    (one, two) = (replace(label, reason=reason) for reason in ("One.", "Two."))
    assert all("several manifests" in label.reason for label in checked([one, two], None, None, Limits()))


def test_a_manifest_without_a_signature_and_containers_without_a_place_for_one(tmp_path, trust):
    for container, why in (("mp4", "it cannot be read"), ("mkv", "have no place for signed manifests")):
        label = told(write(tmp_path / f"a.{container}", Content({}, c2pa=manifest_store())), trust)
        assert (label.signature, label.says) == ("not_checked", "generated")
        assert why in label.reason


def test_without_the_extra_it_is_told_that_nothing_was_checked(tmp_path, signed, trust, monkeypatch):
    monkeypatch.setattr(signature, "extra_version", lambda: None)
    label = told(tmp_path / "a.mp4", None, signed)
    assert label.signature == "not_checked"
    assert label.reason.endswith("was not checked: that takes the extra c2pa (pip install 'unmask[c2pa]').")
    with pytest.raises(UsageError, match="pip install"):
        read_trust(trust)


@pytest.mark.parametrize(("suffix", "form"), [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")])
def test_pictures(tmp_path, trust, suffix, form):
    picture = cv2.imencode(f".{suffix}", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    label = told(tmp_path / f"a.{suffix}", trust, sign(picture, form, SIGNER, AUTHORITY))
    assert (label.signature, label.says) == ("trusted", "generated")


def test_an_avi(tmp_path, trust):
    film = write_video(tmp_path / "a.avi", [pattern(i) for i in range(8)], codec="mpeg4").read_bytes()
    assert told(tmp_path / "a.avi", trust, sign(film, "video/avi", SIGNER, AUTHORITY)).signature == "trusted"


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", AUTHORITY.pem + b" " * MAX_TRUST_BYTES],
)
def test_what_is_no_trust_list_is_refused(tmp_path, content):
    path = tmp_path / "trust.pem"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="trust list"):
        read_trust(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_trust(tmp_path / "none.pem")


def test_a_check_that_was_taken_over_tells_nothing(tmp_path, signed, monkeypatch):
    good = told(tmp_path / "a.mp4", None, signed)
    for answer in ({"scheme": "c2pa"}, 7, {"signature": "trusted\x1b"}, None):
        monkeypatch.setattr(signature, "ask_file", lambda *_, answer=answer: answer)
        label = told(tmp_path / "a.mp4", None, signed)
        assert (label.signature, label.says) == ("not_checked", good.says)
        assert label.reason.endswith("was not checked: the check failed.")


def test_a_check_that_takes_too_much_tells_why(tmp_path, signed):
    label = DeclaredLabel("c2pa", "captured", "C2PA box", "It says so. Its signature was not checked.")
    (tmp_path / "a.mp4").write_bytes(signed)
    with open_regular(tmp_path / "a.mp4") as file:
        (found,) = checked([label], file, None, Limits(memory_bytes=1 << 26))
        assert found.signature == label.signature
        assert found.reason.startswith("It says so. Its signature was not checked: ")


def test_scan_and_explore_tell_of_signatures(tmp_path, signed, trust):
    pytest.importorskip("pyarrow")
    from pyarrow.parquet import read_table

    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.mp4").write_bytes(signed)
    done = CliRunner().invoke(app, ["scan", str(clips / "a.mp4"), "--frames", "2", "--trust", str(trust)])
    assert "The file declares: synthetic (C2PA, signed, trusted)." in done.stdout
    out = tmp_path / "eda"
    words = ["explore", str(clips), "--out", str(out), "--sample", "0", "--trust", str(trust), "-q"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert read_table(out / "videos.parquet")["declared"].to_pylist() == [["c2pa: generated, signature trusted"]]
    assert "generated (c2pa, signed, trusted)" in (out / "index.html").read_text()
    assert CliRunner().invoke(app, ["scan", str(clips / "a.mp4"), "--trust", str(clips / "a.mp4")]).exit_code == 2


def test_words():
    declared = [
        {"says": "captured", "scheme": "c2pa", "signature": state} for state in ("mismatch", "not_checked", None)
    ]
    assert declared_text(declared) == "The file declares: recorded (C2PA, changed after signing), recorded (C2PA)."
