"""List the frames that are really in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unmask.media.bursts import find_bursts
from unmask.media.order import LONGEST_PAUSE_SECONDS, LONGEST_STILL_SECONDS, display_order
from unmask.media.pictures import FieldPairs, Picture, is_hidden_vp8, kind_reader, split_units

_STREAMED = frozenset({"mpegts", "mpeg", "mpegvideo"})
"""Formats in which a clock may jump: recordings of broadcasts, and discs."""
_USUAL_RATE = 25.0
_X264 = re.compile(rb"x264 - core [ -~]{1,1500}")
_HEAD_BYTES, _MAX_SETTINGS = 4096, 16


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames that exist, in order of display."""

    times_seconds: NDArray[np.float64]
    """(N,) strictly rising seconds since the first frame."""
    key_packets: NDArray[np.int64]
    """(P,) position, in decoding order, of each packet from which decoding can start afresh."""
    key_frames: NDArray[np.int64]
    """(P,) index of the frame in each of them, rising."""
    stamped: bool
    """False when packets do not tell in which order they are shown, so that only counting decoded frames finds one."""
    end_seconds: float
    """Time from the first frame to the end of the last."""
    packets: int
    """All packets of the track, also those that are not shown."""
    size_bytes: int
    """Length of all packets of the track."""
    bursts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(B,) rising indices of the frames whose packets stand out; see `unmask.media.bursts`."""

    def __len__(self) -> int:
        return len(self.times_seconds)


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """The frames that exist, and which packets they come from."""

    frames: FrameIndex
    """The frames."""
    ranks: NDArray[np.int64]
    """(packets,) index of the frame of each packet, in decoding order; -1 for those that are not shown."""
    last_tick: int
    """Latest time stamp of decoding, 0 where there is none."""
    end_byte: int
    """Where the last packet ends in the file; 0 where the container does not tell."""
    sizes: NDArray[np.int64]
    """(packets,) length of each packet in bytes."""
    settings: tuple[tuple[int, str], ...] = ()
    """Position of a packet, and the settings that x264 wrote into it: once for each time that it was started."""


def index_packets(packets: Iterable[av.Packet[VideoStream]], stream: VideoStream) -> PacketIndex:
    """Build the index from packets alone: no decoding, and no belief in the header's frame count.

    Frames before the first key packet cannot be decoded, and frames cut away by an edit list are not shown; neither
    exists.

    Raises:
        UnreadableError: There is not one packet that is shown.
    """
    pictures: list[Picture] = []
    afresh: list[int] = []
    read, starts_afresh = _picture_reader(stream), _key_test(stream)
    end_byte = 0
    sizes: list[int] = []
    settings: list[tuple[int, str]] = []
    for packet in packets:
        if not packet.size:
            continue
        if packet.is_keyframe and (not afresh or starts_afresh(packet)):
            afresh.append(len(pictures))
        if (
            packet.is_keyframe
            and len(settings) < _MAX_SETTINGS
            and (found := _X264.search(bytes(packet)[:_HEAD_BYTES]))
        ):
            settings.append((len(pictures), found.group().decode("ascii")))
        sizes.append(packet.size)
        end_byte = max(end_byte, (packet.pos or 0) + packet.size)
        pictures.append(read(packet))
    tick = float(stream.time_base) if stream.time_base else 1.0
    rate = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
    longest = LONGEST_PAUSE_SECONDS if stream.container.format.name in _STREAMED else LONGEST_STILL_SECONDS
    may_reorder = stream.codec_context.reorder_depth > 0
    shown = display_order(pictures, 1 / (rate * tick), longest / tick, may_reorder=may_reorder)
    keys = _usable_keys(np.array(afresh, np.int64), shown.ranks)
    times = shown.ticks * tick if shown.stamped else np.arange(len(shown.ticks)) / rate
    end = shown.length_ticks * tick if shown.stamped else len(times) / rate
    lengths = np.zeros(len(times), np.int64)
    seen = shown.ranks >= 0
    lengths[shown.ranks[seen]] = np.array(sizes, np.int64)[seen]
    bursts = find_bursts(lengths, shown.ranks[keys], times)
    index = FrameIndex(times, keys, shown.ranks[keys], shown.stamped, end, len(pictures), sum(sizes), bursts)
    last_tick = max((picture.dts or 0 for picture in pictures), default=0)
    return PacketIndex(index, shown.ranks, last_tick, end_byte, np.array(sizes, np.int64), tuple(settings))


def _picture_reader(stream: VideoStream) -> Callable[[av.Packet[VideoStream]], Picture]:
    """Return a function that reads what a packet says of its picture."""
    context = stream.codec_context
    name = context.codec.canonical_name
    kind_of, fields = kind_reader(name), FieldPairs(context.extradata or b"") if name == "h264" else None
    is_guessed = stream.container.format.name == "avi" and context.reorder_depth > 0  # AVI only says when to decode

    def read(packet: av.Packet[VideoStream]) -> Picture:
        may_have_fields = fields is not None and (fields.may_occur or packet.is_keyframe)
        data = bytes(packet) if kind_of or may_have_fields or name == "vp8" else b""
        return Picture(
            pts=None if is_guessed else packet.pts,
            dts=packet.dts,
            duration=packet.duration or 0,
            is_key=packet.is_keyframe,
            is_hidden=packet.is_discard or (name == "vp8" and is_hidden_vp8(data)),
            is_second_field=fields is not None and may_have_fields and fields.is_second(data),
            kind=kind_of(data) if kind_of else None,
        )

    return read


def _usable_keys(positions: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of key packets that are shown, each later than those before it."""
    shown = positions[ranks[positions] >= 0]
    latest = np.maximum.accumulate(ranks[shown]) if len(shown) else shown
    return shown[(ranks[shown] == latest) & (np.diff(latest, prepend=-1) > 0)]


def _key_test(stream: VideoStream) -> Callable[[av.Packet[VideoStream]], bool]:
    """Return a function that says whether decoding can start afresh at a key packet.

    In H.264 only IDR frames (NAL type 5) qualify: encoders also flag recovery points of an intra refresh,
    whose frames are whole only later. Packets hold NAL units after a length (MP4, Matroska) or after
    a start code (Annex B of ITU-T H.264).
    """
    if stream.codec_context.codec.canonical_name != "h264":
        return lambda _: True
    extra = stream.codec_context.extradata or b""
    length_bytes = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else 0
    return lambda packet: any(unit[:1] and unit[0] & 31 == 5 for unit in split_units(bytes(packet), length_bytes))
