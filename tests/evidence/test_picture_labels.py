"""What pictures declare is read from JPEG, PNG, WebP, AVIF and GIF, whole, broken and hostile."""

import struct
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from tests.evidence.label_files import TERM, box, chunk, manifest_store, xmp
from unmask.errors import InputError
from unmask.evidence.labels import labels_of, read_labels
from unmask.media import open_video
from unmask.media.items import boxes

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


def avif_items(path, added):
    """Enter an item beside the picture: a further one in ``iinf`` and ``iloc``, its bytes at the end of the file."""
    content = picture(path, "AVIF").read_bytes()
    at = content.index(b"meta") - 4
    length = int.from_bytes(content[at : at + 4], "big")
    inner = {
        kind: content[at + 12 + start : at + 12 + end] for kind, start, end in boxes(content[at + 12 : at + length])
    }
    entry = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 77, 0, b"mime") + b"\0application/rdf+xml\0")
    grown = len(entry) + 14  # by so much the picture moves
    (count,) = struct.unpack_from(">H", inner[b"iinf"], 4)
    inner[b"iinf"] = inner[b"iinf"][:4] + struct.pack(">H", count + 1) + inner[b"iinf"][6:] + entry
    assert inner[b"iloc"][:6] == bytes.fromhex("000000004400"), "version 0, offsets and lengths of four bytes"
    (count,) = struct.unpack_from(">H", inner[b"iloc"], 6)
    places = [struct.unpack_from(">HHHII", inner[b"iloc"], 8 + 14 * n) for n in range(count)]
    moved = b"".join(struct.pack(">HHHII", *place[:3], place[3] + grown, place[4]) for place in places)
    new = struct.pack(">HHHII", 77, 0, 1, len(content) + grown, len(added))
    inner[b"iloc"] = inner[b"iloc"][:6] + struct.pack(">H", count + 1) + moved + new
    meta = box(b"meta", bytes(4) + b"".join(box(kind, value) for kind, value in inner.items()))
    path.write_bytes(content[:at] + meta + content[at + length :] + added)
    return path


def gif(path, added):
    content = picture(path, "GIF").read_bytes()
    assert content[10] & 0x80, "with a table of colours"
    at = 13 + 3 * (2 << (content[10] & 7))
    path.write_bytes(content[:at] + added + content[at:])
    return path


def gif_extension(name, content):
    parts = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"\x21\xff\x0b" + name + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


GIF_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"
CASES = {
    "jpeg xmp": (jpeg, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), "digital_source_type"),
    "jpeg c2pa": (jpeg, jumbf_segments(manifest_store()), "c2pa"),
    "jpeg c2pa in many segments": (jpeg, jumbf_segments(manifest_store(), 64), "c2pa"),
    "png xmp": (png, png_chunk(b"iTXt", XMP_NAME + b"\0\0\0\0" + XMP), "digital_source_type"),
    "png c2pa": (png, png_chunk(b"caBX", manifest_store()), "c2pa"),
    "webp xmp": (webp, chunk(b"XMP ", XMP), "digital_source_type"),
    "webp c2pa": (webp, chunk(b"C2PA", manifest_store()), "c2pa"),
    "gif xmp": (gif, b"\x21\xff\x0bXMP DataXMP" + XMP + GIF_TRAILER, "digital_source_type"),
    "gif c2pa": (gif, gif_extension(b"C2PA_GIF\1\0\0", manifest_store()), "c2pa"),
    "avif xmp": (avif_items, XMP, "digital_source_type"),
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


def test_endless_blocks_of_a_gif_and_items_that_lie_cost_little(tmp_path):
    endless = b"\x21\xff\x0bXMP DataXMP" + b"\1" * (2 << 20) + b"\0"
    assert {says for _, says, *_ in labels(gif(tmp_path / "a.gif", endless))} <= {"unreadable"}
    path = avif_items(tmp_path / "b.avif", XMP)
    content = path.read_bytes()
    at = content.index(b"iloc") + 12 + 14  # the place and length of the packet
    path.write_bytes(content[: at + 6] + b"\xff" * 8 + content[at + 14 :])
    assert labels(path) == []


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_a_picture_that_declares_nothing(form, tmp_path):
    assert labels(picture(tmp_path / "picture", form)) == []
