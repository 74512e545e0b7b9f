"""The items of a HEIC or AVIF file are read in all forms that the standard has (ISO/IEC 14496-12, 8.11)."""

import struct

import pytest

from tests.evidence.label_files import box
from unmask.media import items
from unmask.media.items import Item, boxes, read_items


def full(kind, content, version=0, flags=0):
    return box(kind, bytes([version]) + flags.to_bytes(3, "big") + content)


def entry(number, kind, rest=b"", *, wide=False):
    return full(
        b"infe", struct.pack(">IH4s" if wide else ">HH4s", number, 0, kind) + b"name\0" + rest, 3 if wide else 2
    )


def meta(*, wide=False, index_bytes=0):
    """Return the content of a box with four items, in its short form or in the one with 32-bit numbers."""
    number = ">I" if wide else ">H"
    pack = struct.Struct(number).pack
    entries = [
        full(b"infe", struct.pack(">HH", 9, 0) + b"old\0", 1),
        entry(1, b"hvc1", wide=wide),
        entry(2, b"mime", b"application/rdf+xml\0utf-8\0", wide=wide),
        entry(3, b"grid", wide=wide),
        box(b"free", b"nothing"),
        entry(4, b"mime", b"\xff" * 100, wide=wide),
    ]
    references = box(b"dimg", pack(3) + b"\0\2" + pack(1) + pack(4)) + box(b"cdsc", pack(2) + b"\0\1" + pack(3))
    index = bytes(index_bytes)
    places = [
        pack(1) + b"\0\0" + b"\0\0" + struct.pack(">IH", 1000, 2) + index + struct.pack(">II", 5, 10)
        + index + struct.pack(">II", 50, 7),
        pack(2) + b"\0\1" + b"\0\0" + struct.pack(">IH", 0, 1) + index + struct.pack(">II", 3, 4),
        pack(3) + b"\0\2" + b"\0\0" + struct.pack(">IH", 0, 1) + index + struct.pack(">II", 3, 4),
    ]  # fmt: skip
    properties = box(b"ispe", b"size") + box(b"irot", b"\1") + box(b"free", b"")
    used = pack(3) + b"\3" + (b"\x80\2\0\1\0\x63" if wide else b"\x82\1\x63")
    return b"".join([
        full(b"pitm", pack(3), int(wide)),
        full(b"iinf", pack(6) + b"".join(entries), int(wide)),
        full(b"iref", references, int(wide)),
        full(b"iloc", bytes([0x44, 0x40 | index_bytes]) + pack(3) + b"".join(places), 2 if wide else 1),
        box(b"idat", b"content"),
        box(b"iprp", box(b"ipco", properties) + full(b"ipma", struct.pack(">I", 1) + used, int(wide), int(wide))),
    ])  # fmt: skip


@pytest.mark.parametrize("index_bytes", [0, 4])
@pytest.mark.parametrize("wide", [False, True])
def test_all_forms_say_the_same(wide, index_bytes):
    content = meta(wide=wide, index_bytes=index_bytes)
    found = read_items(content, 500)
    data = 500 + content.index(b"idat") + 4
    assert found.primary == 3
    assert found.items == {
        1: Item(b"hvc1"), 2: Item(b"mime", "application/rdf+xml"), 3: Item(b"grid"), 4: Item(b"mime", "\ufffd" * 80)
    }  # fmt: skip
    assert found.made_of == {3: (1, 4)}
    assert found.extents == {1: [(1005, 1015), (1050, 1057)], 2: [(data + 3, data + 7)]}, "3 lies within another item"
    assert found.properties == {3: [(b"irot", b"\1"), (b"ispe", b"size")]}


def test_the_oldest_form_has_all_items_in_the_file():
    place = struct.pack(">HHH", 8, 0, 1) + struct.pack(">II", 5, 10)
    assert read_items(full(b"iloc", b"\x44\0\0\1" + place), 0).extents == {8: [(5, 15)]}
    assert read_items(full(b"iloc", b"\x44\0\0\1" + place[:-1]), 0).extents == {}, "cut within its last number"


def test_what_comes_before_the_damage_counts():
    content = meta()
    at = content.index(b"iloc")
    assert read_items(content[: at + 30], 0).items.keys() == {1, 2, 3, 4}
    found = read_items(content[: at + 59], 0)
    assert (found.made_of, found.extents) == ({3: (1, 4)}, {1: [(1005, 1015), (1050, 1057)]})


def test_items_have_an_end(monkeypatch):
    monkeypatch.setattr(items, "MAX_ITEMS", 2)
    found = read_items(meta(), 0)
    assert list(found.items) == [1, 2]
    assert list(found.extents) == [1, 2]
    assert found.made_of == {3: (1, 4)}
    assert found.properties == {3: [(b"irot", b"\1"), (b"ispe", b"size")]}


def test_boxes_have_short_and_long_lengths_and_end_with_the_bytes():
    long = struct.pack(">I4sQ", 1, b"long", 16 + 3) + b"abc"
    content = box(b"aaaa", b"12") + long + box(b"none", b"") + struct.pack(">I4s", 0, b"rest") + b"to the end"
    named = {kind: content[start:end] for kind, start, end in boxes(content)}
    assert named == {b"aaaa": b"12", b"long": b"abc", b"none": b"", b"rest": b"to the end"}
    assert list(boxes(struct.pack(">I4s", 99, b"tall") + b"abc")) == [(b"tall", 8, 11)]
    assert list(boxes(struct.pack(">I4s", 7, b"tiny") + box(b"aaaa", b"12"))) == []
    assert list(boxes(struct.pack(">I4sQ", 1, b"tiny", 15) + b"abc")) == []
    assert list(boxes(bytes(7))) == []
