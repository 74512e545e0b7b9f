"""Decode the wanted frames of a file, in this process.

All packets are listed first, without decoding. Then the decoder skips every frame that is not wanted and that no other
frame refers to. The frames that come out are bit-identical to those of a full decode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from io import BufferedReader

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unmask.errors import LimitError, NoVideoError, UnreadableError
from unmask.media.colours import RgbConverter
from unmask.media.container import decode_packet, find_films, is_image, open_container
from unmask.media.facts import as_picture, read_facts
from unmask.media.formats import PICTURE_FORMATS
from unmask.media.index import FrameIndex, PacketIndex, index_packets
from unmask.media.limits import Limits
from unmask.media.orientation import Orientation, orientation_of
from unmask.media.picture_end import ends_early
from unmask.media.plain import Plain
from unmask.media.quantiser import mean_quantiser
from unmask.media.signature import SignatureLog, Signer
from unmask.media.tags import Sayings, read_sayings
from unmask.media.tiles import Grid, join_tiles, read_grid
from unmask.media.tones import forget_unknown_tags
from unmask.types import Colours, Frame, ImageHW3, MediaFacts

# Codecs in which a frame that is not referred to can be skipped and all others stay as they are; HEVC only sometimes.
_SKIPPABLE = frozenset({"h264", "mpeg4", "mpeg1video", "mpeg2video"})
_SURVEY_SECONDS, _MAX_SURVEYED = 0.9, 256
"""Key frames that only give signatures lie at least so far apart, and there are at most so many."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One decoded frame as it is stored, not yet upright."""

    index: int
    """Position among the frames that exist, in order of display, from 0."""
    image_HW3: ImageHW3
    """RGB image, (H, W, 3) uint8."""
    quantiser: float | None
    """How coarsely it is quantised, 0 finest to 1; None where the decoder does not tell."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A video file, open in this process, whose frames are known but not decoded yet."""

    file: BufferedReader
    """The open file."""
    track: int
    """Index of the picture track that is read."""
    facts: MediaFacts
    """What it is."""
    packets: PacketIndex
    """Which frames it has, and which packets they come from."""
    orientation: Orientation
    """How its frames become upright."""
    limits: Limits
    """What decoding may cost."""
    colours: Colours
    """How its frames become RGB."""
    sayings: Sayings
    """What its container says of itself."""
    plain: Plain
    """Makes its frames plain first."""
    grid: Grid | None = None
    """Of a picture that is made of tiles, how these lie."""

    @property
    def index(self) -> FrameIndex:
        """Which frames it has."""
        return self.packets.frames

    def read(self, indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        """Yield the frames with the given indices, upright; see `unmask.media.read_frames`."""
        return upright_frames(decode_stored(self, indices, log), self.index, self.orientation)


def open_in_process(
    file: BufferedReader, sha256: str, limits: Limits, colours: Colours = "tagged", film: int = 1
) -> OpenFile:
    """List the frames of an open file and decode the first one, in this process.

    Args:
        file: A regular file.
        sha256: Hash of its bytes, 64 hex digits.
        limits: Those on pixels are kept here.
        colours: How its frames become RGB.
        film: Which of its films, from 1; see `unmask.media.container.find_films`.

    Raises:
        InputError: As `unmask.media.open_video`, but for timeout and crash.
    """
    is_picture = is_image(file)
    grid = read_grid(file) if is_picture else None
    first_frames: list[VideoFrame] = []
    with ExitStack() as stack:
        container, stream = stack.enter_context(open_container(file, limits.frame_pixels))
        films = find_films(container, stream, is_picture=is_picture)
        if not 1 <= film <= len(films.tracks):
            raise NoVideoError(f"the file holds {len(films.tracks)} films, and no number {film}")
        track = films.tracks[film - 1]
        if grid is not None or len(container.streams.video) > 1:  # to open it again costs some frames' time
            stack.close()
            first_frames += [] if grid is None else [_joined(file, grid, limits, track)]
            container, stream = stack.enter_context(open_container(file, limits.frame_pixels, track))
        packets = _packets_and_first_frame(container, stream, limits.frame_pixels, first_frames)
        index = index_packets(packets, stream)
        if not first_frames:
            raise UnreadableError("not one frame of the video can be decoded")
        orientation = orientation_of(first_frames[0]) if grid is None else grid.orientation
        facts = read_facts(file, sha256, container, stream, index, first_frames[0], orientation)
        facts = replace(facts, film=film, films=len(films.tracks), other_pictures=films.others)
        if len(index.frames) == 1 and (container.format.name == "gif" or is_picture):
            facts = as_picture(facts, cut_short=ends_early(file))
        sayings = read_sayings(container)
    return OpenFile(file, track, facts, index, orientation, limits, colours, sayings, Plain(), grid)


def _joined(file: BufferedReader, grid: Grid, limits: Limits, track: int) -> VideoFrame:
    """Return the picture of a file that is made of tiles; see `unmask.media.tiles.join_tiles`."""
    with open_container(file, limits.frame_pixels, track) as (container, _):
        return join_tiles(container, grid, limits.frame_pixels)


def _packets_and_first_frame(
    container: InputContainer, stream: VideoStream, frame_pixels: int, first_frames: list[VideoFrame]
) -> Iterator[av.Packet[VideoStream]]:
    """Yield all packets; decode until the first whole frame comes out and put it into ``first_frames``."""
    for packet in _demux(container, stream):
        yield packet
        if not first_frames:
            frames = decode_packet(stream.codec_context, packet, frame_pixels)
            first_frames += [frame for frame in frames if not frame.is_corrupt][:1]


def upright_frames(stored: Iterator[StoredFrame], index: FrameIndex, orientation: Orientation) -> Iterator[Frame]:
    """Turn stored frames upright and give each its time.

    Args:
        stored: Frames of ``index`` as they are stored.
        index: The frames of the video.
        orientation: How they become upright.
    """
    times_seconds = index.times_seconds
    for frame in stored:
        upright_HW3 = orientation.apply(frame.image_HW3)
        yield Frame(upright_HW3, float(times_seconds[frame.index]), frame.index, frame.quantiser)


def decode_stored(
    opened: OpenFile, indices: NDArray[np.int64], log: SignatureLog | None = None
) -> Iterator[StoredFrame]:
    """Decode the frames with the given indices, in rising order, one at a time, in this process.

    A frame that cannot be decoded is replaced by the next one that can, unless that one is wanted itself; so
    a damaged video yields fewer frames, never the same one twice.

    Args:
        opened: The file.
        indices: (n,) rising indices of the wanted frames.
        log: Takes the signatures of all frames that are decoded on the way, and of key frames where nothing else is.

    Raises:
        LimitError: More pixels than the limits allow.
    """
    converter = RgbConverter(opened.colours)
    for number, frame in _decode(opened, indices, log):
        plain = opened.plain(frame) if opened.colours == "tagged" else frame  # OpenCV left them as they are
        yield StoredFrame(number, converter.convert(plain), mean_quantiser(frame))


def _decode(opened: OpenFile, wanted: NDArray[np.int64], log: SignatureLog | None) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (index, frame) for each wanted index, or for the first decodable frame after it."""
    index, limits, pixels = opened.index, opened.limits, 0
    pending, signer = wanted.tolist()[::-1], Signer()
    surveyed = frozenset() if log is None else survey_packets(index)
    with open_container(opened.file, limits.frame_pixels, opened.track) as (container, stream):
        for count, frame in enumerate(_frames(container, stream, opened, pending, surveyed)):
            pixels += frame.width * frame.height
            if pixels > limits.total_pixels:
                raise LimitError(f"more than {limits.total_pixels} pixels would have to be decoded")
            number = frame.pts if index.stamped else min(count, len(index) - 1)
            if number is None or number < 0 or frame.is_corrupt:
                continue
            forget_unknown_tags(frame)
            if log is not None:
                log.add(number, signer.sign(frame))
            if number < pending[-1]:
                continue
            while pending and pending[-1] <= number:
                pending.pop()
            yield number, frame
            if not pending:
                return


def survey_packets(index: FrameIndex) -> frozenset[int]:
    """Return the positions of key packets that are decoded for their signatures where all else is skipped."""
    gap = max(_SURVEY_SECONDS, index.end_seconds / _MAX_SURVEYED)
    chosen, last = [], -math.inf
    for packet, seconds in zip(index.key_packets.tolist(), index.times_seconds[index.key_frames].tolist(), strict=True):
        if seconds - last >= gap:
            chosen.append(packet)
            last = seconds
    return frozenset(chosen)


def _frames(
    container: InputContainer, stream: VideoStream, opened: OpenFile, pending: list[int], surveyed: frozenset[int]
) -> Iterator[VideoFrame]:
    """Decode packet by packet, skipping what the ``pending`` frames (last one next) do not need.

    Packets are stamped with the index of their frame, which the decoder hands on to it. Of what is skipped, the key
    packets at the positions ``surveyed`` are decoded by themselves.
    """
    if opened.grid is not None:
        yield join_tiles(container, opened.grid, opened.limits.frame_pixels)
        return
    context, index, ranks = stream.codec_context, opened.index, opened.packets.ranks
    skippable = index.stamped and _is_skippable(context)
    wanted = set(pending)
    position, resume_at = -1, 0
    for packet in _demux(container, stream):
        if packet.size:
            position += 1
            number = int(ranks[position]) if position < len(ranks) else -1  # a file may grow meanwhile
            packet.pts = packet.dts = number
            if position < resume_at:
                if position in surveyed:
                    yield from _decode_alone(context, packet, opened.limits.frame_pixels)
                continue
            if skippable:
                context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
        before = len(pending)
        yield from decode_packet(context, packet, opened.limits.frame_pixels)
        if index.stamped and pending and (len(pending) < before or position == 0):
            # Nothing is wanted any more, or yet: drop all packets up to the key packet that the next one hangs on.
            key = int(np.searchsorted(index.key_frames, pending[-1], side="right")) - 1
            if key >= 0 and index.key_packets[key] > position:
                resume_at = int(index.key_packets[key])
                context.flush_buffers()


def _decode_alone(context: VideoCodecContext, packet: av.Packet[VideoStream], frame_pixels: int) -> list[VideoFrame]:
    """Decode a key packet without what follows it, and leave the decoder as if nothing had been decoded."""
    frames = decode_packet(context, packet, frame_pixels)
    with suppress(av.error.FFmpegError):
        frames += context.decode(None)
    context.flush_buffers()
    return frames


def _is_skippable(context: VideoCodecContext) -> bool:
    """Tell whether unwanted non-reference frames can be skipped while all others stay as they are.

    In HEVC with several temporal sub-layers a "sub-layer non-reference" frame may be referred to by frames of higher
    layers. The header (hvcC, ISO/IEC 14496-15) tells how many layers there are; without it, nothing is skipped.
    """
    if context.codec.canonical_name == "hevc":
        header = context.extradata or b""
        return len(header) > 22 and header[0] == 1 and header[21] >> 3 & 7 == 1
    return context.codec.canonical_name in _SKIPPABLE


def _demux(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    unpack = None
    if stream.codec_context.codec.canonical_name == "mpeg4":  # DivX puts two pictures into one packet of an AVI
        unpack = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    try:
        for packet in container.demux(stream):
            if unpack is None:
                yield packet
                if packet.size and container.format.name in PICTURE_FORMATS:  # another view, or a preview, may follow
                    return
            elif packet.size:
                yield from unpack.filter(packet)
            else:
                yield from unpack.filter(None)
                yield packet
    except (av.error.FFmpegError, OSError):
        return  # a damaged tail
