"""What pictures declare is read from JPEG, PNG, WebP and AVIF, whole, broken and hostile."""

import struct
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from tests.evidence.label_files import TERM, box, chunk, manifest_store, xmp
from unmask.errors import InputError
from unmask.evidence.labels import labels_of, read_labels
from unmask.media import open_video

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP = xmp(f'Iptc4xmpExt:DigitalSourceType="{TERM}"')
XMP_NAME = b"XML:com.adobe.xmp\0"


def labels(path):
    with open_video(path, readers=[read_labels]) as video:
        assert video.facts.is_picture
        return [(label.scheme, label.says, label.where, label.reason) for label in labels_of(video)]


def picture(path, form, **options):
    Image.new("RGB", (64, 48), (90, 120, 60)).save(path, form, **options)
    return path


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jumbf_segments(store, length=1000):
    """Cut a JUMBF box into segments, each but the first with its head again."""
    parts = [store[:length], *(store[at : at + length] for at in range(length, len(store), length))]
    return b"".join(
        segment(0xEB, b"JP" + struct.pack(">HI", 1, number) + (store[:8] if number > 1 else b"") + part)
        for number, part in enumerate(parts, 1)
    )


def jpeg(path, added):
    content = picture(path, "JPEG").read_bytes()
    path.write_bytes(content[:2] + added + content[2:])
    return path


def png(path, added):
    content = picture(path, "PNG").read_bytes()
    path.write_bytes(content[:33] + added + content[33:])  # behind IHDR
    return path


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def webp(path, added):
    content = picture(path, "WEBP").read_bytes() + added
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return path


def avif(path, added):
    path.write_bytes(picture(path, "AVIF").read_bytes() + added)
    return path


CASES = {
    "jpeg xmp": (jpeg, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), "digital_source_type"),
    "jpeg c2pa": (jpeg, jumbf_segments(manifest_store()), "c2pa"),
    "jpeg c2pa in many segments": (jpeg, jumbf_segments(manifest_store(), 64), "c2pa"),
    "png xmp": (png, png_chunk(b"iTXt", XMP_NAME + b"\0\0\0\0" + XMP), "digital_source_type"),
    "png c2pa": (png, png_chunk(b"caBX", manifest_store()), "c2pa"),
    "webp xmp": (webp, chunk(b"XMP ", XMP), "digital_source_type"),
    "webp c2pa": (webp, chunk(b"C2PA", manifest_store()), "c2pa"),
    "avif c2pa": (avif, box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + manifest_store()), "c2pa"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_label_is_found(name, tmp_path):
    write, added, scheme = CASES[name]
    (found,) = labels(write(tmp_path / "picture", added))
    assert found[:2] == (scheme, "generated")


@pytest.mark.parametrize("name", CASES)
def test_half_of_a_label_harms_nothing(name, tmp_path):
    write, added, _ = CASES[name]
    for share in (0.3, 0.7):
        path = write(tmp_path / "picture", added)
        content = path.read_bytes()
        at = content.index(added)
        cut = content[: at + int(share * len(added))] + content[at + len(added) :]
        (tmp_path / "cut").write_bytes(cut)
        with suppress(InputError):
            assert {scheme for scheme, *_ in labels(tmp_path / "cut")} <= {"c2pa", "digital_source_type", "aigc"}


def test_a_text_that_swells_and_endless_segments_cost_little(tmp_path):
    bomb = zlib.compress(bytes(64 << 20))
    assert labels(png(tmp_path / "a.png", png_chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + bomb))) == []
    found = labels(jpeg(tmp_path / "b.jpg", segment(0xEB, b"JP" + bytes(40)) * 5000))
    assert {says for _, says, *_ in found} <= {"unreadable"}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_that_declares_nothing(form, tmp_path):
    assert labels(picture(tmp_path / "picture", form)) == []
