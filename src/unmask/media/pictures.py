"""Read of a packet what its container does not tell: the kind of its picture, and whether it is half of a frame."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["I", "P", "B"]

_MPEG2_KINDS: dict[int, Kind] = {1: "I", 2: "P", 3: "B", 4: "I"}
_MPEG4_KINDS: tuple[Kind, ...] = ("I", "P", "B", "P")  # the last one are sprites
_INTRA_ONLY = frozenset({
    "cfhd", "dnxhd", "dvvideo", "huffyuv", "ffvhuff", "jpeg2000", "mjpeg", "png", "prores", "rawvideo", "utvideo",
    "v210",
})  # fmt: skip
"""Codecs whose pictures are shown as they come."""
_UNIT = re.compile(b"\0\0\1")
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class Picture:
    """A packet, as far as it says when it is shown."""

    pts: int | None
    """Time stamp in ticks."""
    dts: int | None
    """Time stamp of decoding in ticks."""
    duration: int
    """Length in ticks, 0 when unknown."""
    is_key: bool
    """Decoding can start here."""
    is_hidden: bool = False
    """It is decoded, but not shown: cut away by an edit list, or only referred to."""
    is_second_field: bool = False
    """It completes the frame that the packet before it began."""
    kind: Kind | None = None
    """Kind of picture, where the order of display follows from it."""


def kind_reader(codec_name: str) -> Callable[[bytes], Kind | None] | None:
    """Return a function that reads the kind of a packet's picture; None for codecs whose order does not follow from it.

    In MPEG-1, 2 and 4 part 2 a B is shown at once, and all else when the next picture that is no B comes.
    """
    if codec_name in _INTRA_ONLY:
        return lambda _: "I"
    return {"mpeg1video": _mpeg2_kind, "mpeg2video": _mpeg2_kind, "mpeg4": _mpeg4_kind}.get(codec_name)


def _mpeg2_kind(data: bytes) -> Kind | None:
    """Read picture_coding_type (ISO/IEC 13818-2, 6.2.3)."""
    at = data.find(b"\0\0\1\0")
    return _MPEG2_KINDS.get(data[at + 5] >> 3 & 7) if 0 <= at < len(data) - 5 else None


def _mpeg4_kind(data: bytes) -> Kind | None:
    """Read vop_coding_type (ISO/IEC 14496-2, 6.2.5)."""
    at = data.find(b"\0\0\1\xb6")
    return _MPEG4_KINDS[data[at + 4] >> 6] if 0 <= at < len(data) - 4 else None


def is_hidden_vp8(data: bytes) -> bool:
    """Tell whether a VP8 frame is only referred to (RFC 6386, 9.1: show_frame)."""
    return bool(data) and not data[0] >> 4 & 1


class Bits:
    """Reads numbers out of bytes, bit by bit."""

    def __init__(self, data: bytes) -> None:
        """Start at the first bit."""
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next bits as a number.

        Raises:
            ValueError: There are not so many.
        """
        if count > self._left:
            raise ValueError("the data end within a number")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return an Exp-Golomb number, ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("a number is too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """Return a signed Exp-Golomb number, se(v)."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Of an H.264 sequence parameter set, what tells the fields of a frame apart."""

    may_have_fields: bool
    frame_number_bits: int
    has_colour_planes: bool


class FieldPairs:
    """Finds the second fields of H.264 frames that are coded field by field, each in a packet of its own."""

    def __init__(self, extradata: bytes) -> None:
        """Read the parameter sets that the container knows."""
        self._length_bytes = (extradata[4] & 3) + 1 if len(extradata) > 6 and extradata[0] == 1 else 0
        self._sequence: _Sequence | None = None
        for unit in _parameter_sets(extradata) if self._length_bytes else split_units(extradata, 0):
            self._learn(unit)
        self._first: tuple[int, int] | None = None

    @property
    def may_occur(self) -> bool:
        """Whether frames may be coded field by field at all."""
        return self._sequence is None or self._sequence.may_have_fields

    def is_second(self, data: bytes) -> bool:
        """Tell whether a packet holds the second field of a frame; call it with each packet, in decoding order."""
        fields = []
        for unit in split_units(data, self._length_bytes):
            self._learn(unit)
            if unit and unit[0] & 31 in (1, 5) and (field := self._field(unit[:64])):
                fields.append(field)
        frame, first = dict.fromkeys(fields), self._first
        self._first = None
        if len(frame) != 1:  # a whole frame, or both fields of one
            return False
        ((number, parity),) = frame
        if first is not None and first[0] == number and first[1] != parity:
            return True
        self._first = number, parity
        return False

    def _learn(self, unit: bytes) -> None:
        if unit and unit[0] & 31 == 7:
            try:
                self._sequence = _read_sequence(unit)
            except (ValueError, IndexError):
                self._sequence = None

    def _field(self, unit: bytes) -> tuple[int, int] | None:
        """Return frame number and parity of the field that a slice belongs to; None for frames (7.3.3)."""
        sequence = self._sequence
        if sequence is None or not sequence.may_have_fields:
            return None
        try:
            bits = Bits(_unescaped(unit[1:]))
            for _ in range(3):
                bits.golomb()  # first_mb_in_slice, slice_type, pic_parameter_set_id
            if sequence.has_colour_planes:
                bits.take(2)
            number = bits.take(sequence.frame_number_bits)
            return (number, bits.take(1)) if bits.take(1) else None
        except ValueError:
            return None


def split_units(data: bytes, length_bytes: int) -> list[bytes]:
    """Return the NAL units of a packet: each after a length (MP4, Matroska) or, where that is 0, a start code."""
    if not length_bytes:
        starts = [match.end() for match in _UNIT.finditer(data)]
        return [data[start : end - 3] for start, end in itertools.pairwise([*starts, len(data) + 3])]
    units, at = [], 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        units.append(data[at + length_bytes : at + length_bytes + size])
        at += length_bytes + size
    return units


def _parameter_sets(extradata: bytes) -> list[bytes]:
    """Return the sequence parameter sets of an avcC box (ISO/IEC 14496-15, 5.2.4.1)."""
    sets, at = [], 6
    for _ in range(extradata[5] & 31):
        size = int.from_bytes(extradata[at : at + 2], "big")
        sets.append(extradata[at + 2 : at + 2 + size])
        at += 2 + size
    return sets


def _unescaped(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")


def _read_sequence(unit: bytes) -> _Sequence:
    """Read a sequence parameter set (ITU-T H.264, 7.3.2.1.1)."""
    profile, bits = unit[1], Bits(_unescaped(unit[4:]))
    bits.golomb()
    has_planes = False
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb()
        has_planes = chroma == 3 and bool(bits.take(1))
        bits.golomb(), bits.golomb(), bits.take(1)
        if bits.take(1):
            for number in range(8 if chroma != 3 else 12):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    number_bits = bits.golomb() + 4
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1), bits.signed_golomb(), bits.signed_golomb()
        for _ in range(bits.golomb()):
            bits.signed_golomb()
    bits.golomb(), bits.take(1), bits.golomb(), bits.golomb()
    return _Sequence(not bits.take(1), number_bits, has_planes)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb() + 256) % 256
        last = following or last
