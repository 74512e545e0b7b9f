"""Files that declare what they are: four schemes in six containers, whole, broken and hostile."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from tests.media_factory import pattern

CONTAINERS = ("mp4", "mov", "mkv", "webm", "avi", "flv")
SCHEMES = ("c2pa", "digital_source_type", "aigc", "program")
STATES = ("whole", "broken", "hostile")
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
AIGC = json.dumps({
    "Label": "1", "ContentProducer": "001191110102MA", "ProduceID": "p-1", "ReservedCode1": "x",
    "ContentPropagator": "001191110102MB", "PropagateID": "q-2", "ReservedCode2": "y",
})  # fmt: skip
C2PA_UUID, XMP_UUID = "d8fec3d61b0e483c92975828877ec481", "be7acfcb97a942e89c71999491e3afac"
FILES = [(scheme, state, container) for scheme in SCHEMES for state in STATES for container in CONTAINERS]
EXPECTED: dict[tuple[str, str], str | None] = {
    ("c2pa", "whole"): "generated", ("c2pa", "broken"): "unreadable", ("c2pa", "hostile"): "unreadable",
    ("digital_source_type", "whole"): "generated", ("digital_source_type", "broken"): "generated",
    ("digital_source_type", "hostile"): None,
    ("aigc", "whole"): "generated", ("aigc", "broken"): "unreadable", ("aigc", "hostile"): "unreadable",
    ("program", "whole"): "perhaps_generated", ("program", "broken"): None, ("program", "hostile"): "edited",
}  # fmt: skip
"""Scheme and state -> what the label says; None for no label."""
IN_FLV = {
    ("c2pa", "whole"): "unclear", ("c2pa", "broken"): "unclear", ("c2pa", "hostile"): None,
    ("program", "hostile"): None,
}  # fmt: skip
"""FLV has no place for a C2PA manifest: its XMP packet names one that lies elsewhere. FFmpeg drops its long tags."""


@dataclass(frozen=True)
class Content:
    """What a file is to hold."""

    tags: dict[str, str]
    c2pa: bytes = b""
    xmp: bytes = b""
    aigc: bytes = b""


def expected(scheme: str, state: str, container: str) -> str | None:
    return (EXPECTED | (IN_FLV if container == "flv" else {}))[scheme, state]


def write_labelled(path: Path, scheme: str, state: str) -> Path:
    """Write a film of eight frames in the container that the suffix names."""
    return write(path, content_of(scheme, state, path.suffix[1:]))


def content_of(scheme: str, state: str, container: str) -> Content:
    if scheme == "c2pa":
        if container == "flv":
            packet = xmp('dcterms:provenance="https://a.example/x.c2pa"')
            return Content({}, xmp={"whole": packet, "broken": packet[:-30], "hostile": laughs()}[state])
        store = manifest_store()
        return Content({}, c2pa={"whole": store, "broken": store[: len(store) // 2], "hostile": nested_jumbf()}[state])
    if scheme == "digital_source_type":
        packet = xmp(f'Iptc4xmpExt:DigitalSourceType="{TERM}"')
        return Content({}, xmp={"whole": packet, "broken": packet[:-30], "hostile": laughs()}[state])
    if scheme == "aigc":
        text = {"whole": AIGC, "broken": AIGC[:50], "hostile": '{"AIGC":' + "[" * 30_000}[state]
        return Content({}, aigc=text.encode()) if container == "avi" else Content({"AIGC": text})
    hostile = "\u202e\x1b[31m Adobe Premiere Pro\x07" + "<script>" * 6000
    text = {"whole": "ComfyUI 0.3.66", "broken": "Adobe Prem", "hostile": hostile}[state]
    return Content({"encoded_by" if container == "avi" else "software": text})


def write(path: Path, content: Content) -> Path:
    container = path.suffix[1:]
    codec = {"webm": "libvpx", "flv": "flv1", "mkv": "mpeg4", "avi": "mpeg4"}.get(container, "mpeg4")
    options = {"movflags": "use_metadata_tags"} if container in ("mp4", "mov") else {}
    form = "matroska" if container in ("mkv", "webm") else container
    with av.open(str(path), "w", format=form, options=options) as file:
        file.metadata.update(content.tags)
        stream = file.add_stream(codec, rate=10, options={"deadline": "realtime"} if codec == "libvpx" else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if form == "matroska":
            if content.c2pa:
                file.add_attachment("manifest.c2pa", "application/c2pa", content.c2pa)
            if content.xmp:
                file.add_attachment("packet.xmp", "application/rdf+xml", content.xmp)
        for number in range(8):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(number, (64, 48)), format="rgb24")))
        file.mux(stream.encode())
    add_pieces(path, content)
    return path


def add_pieces(path: Path, content: Content) -> None:
    """Add what FFmpeg cannot write."""
    data, suffix = bytearray(path.read_bytes()), path.suffix[1:]
    if suffix == "webm":
        data = data.replace(b"\x88matroska", b"\x88webm\0\0\0\0", 1)
    if suffix in ("mp4", "mov"):
        if content.c2pa:
            data += box(b"uuid", bytes.fromhex(C2PA_UUID) + bytes(4) + b"manifest\0" + bytes(8) + content.c2pa)
        if content.aigc:
            data += box(b"AIGC", content.aigc)
        if content.xmp and suffix == "mp4":
            data += box(b"uuid", bytes.fromhex(XMP_UUID) + content.xmp)
        if content.xmp and suffix == "mov":  # in moov/udta, moov being last
            at, more = data.rindex(b"moov") - 4, box(b"udta", box(b"XMP_", content.xmp))
            struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(more))
            data += more
    if suffix == "avi":
        chunks = chunk(b"C2PA", content.c2pa) + chunk(b"_PMX", content.xmp)
        if content.aigc:
            chunks += chunk(b"LIST", b"INFO" + chunk(b"AIGC", content.aigc))
        data += chunks
        struct.pack_into("<I", data, 4, len(data) - 8)
    if suffix == "flv" and content.xmp:
        name, key = b"onXMPData", b"liveXML"
        script = b"\x02" + struct.pack(">H", len(name)) + name + b"\x08" + struct.pack(">IH", 1, len(key)) + key
        script += b"\x0c" + struct.pack(">I", len(content.xmp)) + content.xmp + b"\0\0\x09"
        tag = b"\x12" + len(script).to_bytes(3, "big") + bytes(7) + script
        data += tag + struct.pack(">I", len(tag))
    path.write_bytes(data)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2) if content else b""


def xmp(attribute: str) -> bytes:
    spaces = (
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"'
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {attribute}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def laughs() -> bytes:
    """A packet whose entities grow to a billion characters, in a property that is read."""
    entities = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    head = f'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{entities}]>'
    return (head + f"<x><DigitalSourceType>&j;{TERM}</DigitalSourceType></x>").encode()


def jumb(kind: bytes, label: str, *contents: bytes) -> bytes:
    name = kind + bytes.fromhex("00110010800000aa00389b71")
    return box(b"jumb", box(b"jumd", name + b"\x03" + label.encode() + b"\0") + b"".join(contents))


def manifest_store(*, earlier: bool = False, term: str | None = TERM) -> bytes:
    """A store of C2PA, unsigned; its film was made by a model, or put together from one that was."""
    manifests = [manifest("urn:c2pa:1", term)]
    if earlier:
        manifests.append(manifest("urn:c2pa:2", None))
    return jumb(b"c2pa", "c2pa", *manifests)


def manifest(label: str, term: str | None) -> bytes:
    action: dict[str, Any] = {"action": "c2pa.created"} if term else {"action": "c2pa.edited"}
    if term:
        action["digitalSourceType"] = term
    actions = jumb(b"cbor", "c2pa.actions.v2", box(b"cbor", cbor({"actions": [action]})))
    claim = {"claim_generator_info": {"name": "Video Maker", "version": "2.1"}, "instanceID": "xmp:iid:1"}
    return jumb(
        b"c2ma",
        label,
        jumb(b"c2as", "c2pa.assertions", actions),
        jumb(b"c2cl", "c2pa.claim.v2", box(b"cbor", cbor(claim))),
        jumb(b"c2cs", "c2pa.signature", box(b"cbor", cbor(b"\0" * 16))),
    )


def nested_jumbf(depth: int = 20_000) -> bytes:
    """Superboxes within superboxes."""
    return b"".join(struct.pack(">I4s", 8 * (depth - number), b"jumb") for number in range(depth))


def cbor(value: Any) -> bytes:
    """Encode text, bytes, numbers, lists and dicts."""
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    data = value.encode() if isinstance(value, str) else value
    return _head(3 if isinstance(value, str) else 2, len(data)) + data


def _head(kind: int, count: int) -> bytes:
    if count < 24:
        return bytes([kind << 5 | count])
    size = next(size for size in range(4) if count < 1 << (8 << size))
    return bytes([kind << 5 | 24 + size]) + count.to_bytes(1 << size, "big")
