"""Tell how a file was written: programs, settings, the rhythm of key frames, gaps, hidden frames, joins, sound.

    with open_video("clip.mp4", readers=[read_traces]) as video:
        traces_of(video)                        # Trace, ...

These are facts about the container. None of them is a sign of a fake by itself, and none enters the score; see
docs/evidence.md for what each can and cannot mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.evidence.comb import comb_strength
from unmask.evidence.labels import plain
from unmask.evidence.second_encoding import MIN_STRENGTH, find_rhythm
from unmask.facts import Trace
from unmask.media import Video
from unmask.media.frames import OpenFile
from unmask.media.readers import reader_name
from unmask.runtime.jsonable import jsonable
from unmask.runtime.validator import validator

MAX_TRACES = 32
"""Traces that are told of one file, at most."""
GAP_STEPS, MIN_GAP_SECONDS = 2.5, 0.1
"""A gap is so many times the usual time between two frames, and at least so long."""
MIN_SOUND_SECONDS = 0.5
"""Sound that ends or begins so much later or earlier than the picture is told."""
MAX_NAMED = 5
HOW_OFTEN = (
    "In a test, none of 100 films that were encoded once had such signs, 31 of 54 whose second encoding was finer, and "
    "none of 46 whose second encoding was coarser"
)
"""What `benchmarks/bench_second_encoding.py` found."""

_WRITERS = ("encoder", "software", "encoded_by", "writing_application", "major_brand", "handler_name", "vendor_id")
_SETTING = re.compile(r"\b(crf|qp|bitrate|keyint|keyint_min|bframes|scenecut|rc)=(\S+)")
_traces = validator(tuple[Trace, ...])


def read_traces(opened: OpenFile) -> list[dict[str, Any]]:
    """Return the traces of an open file as JSON-ready values; runs in the confined decoder, see `traces_of`."""
    return [jsonable(trace) for trace in find_traces(opened)][:MAX_TRACES]


def traces_of(video: Video) -> tuple[Trace, ...]:
    """Return what `read_traces` found, checked: the decoder reads files that may be hostile."""
    try:
        return _traces(video.notes.get(reader_name(read_traces), ()))[:MAX_TRACES]
    except ValueError:
        return ()


def find_traces(opened: OpenFile) -> Iterator[Trace]:
    """Yield the traces of an open file."""
    for find in (
        _written_by,
        _settings,
        _joins,
        _key_frames,
        _hidden_frames,
        _time_gaps,
        _sound,
        _dates,
        _second_encoding,
    ):
        yield from find(opened)


def _written_by(opened: OpenFile) -> Iterator[Trace]:
    values: dict[str, str] = {}
    for tag in opened.sayings.named(*_WRITERS):
        name = tag.name if tag.place == "file" else f"{tag.name} of {tag.place}"
        if text := plain(tag.value, 60):
            values.setdefault(name, text)
    if values:
        words = ", ".join(f'{name.replace("_", " ")} "{text}"' for name, text in list(values.items())[:MAX_NAMED])
        yield Trace("written_by", f"The file names who wrote it: {words}.", dict(list(values.items())[:16]))


def _settings(opened: OpenFile) -> Iterator[Trace]:
    if opened.packets.settings:
        text = opened.packets.settings[0][1]
        version = re.match(r"x264 - core (\d+)", text)
        found = {name: plain(value, 20) for name, value in _SETTING.findall(text)[:16]}
        words = ", ".join(f"{name} {value}" for name, value in found.items()) or "no settings"
        core = version[1][:8] if version else "unknown"
        yield Trace("encoder_settings", f"The picture was encoded by x264 (core {core}): {words}.", found)


def _joins(opened: OpenFile) -> Iterator[Trace]:
    """Tell of further settings of x264, which writes them once when it starts."""
    times = [_time_of(opened, position) for position, _ in opened.packets.settings[1:]]
    if times:
        different = len({text for _, text in opened.packets.settings}) > 1
        how = "with different settings" if different else "with the same settings"
        reason = f"The film is joined from parts that x264 encoded one by one, {how}: new ones begin at {_list(times)}."
        yield Trace("joined", reason, {"times_seconds": _list(times, ""), "settings": "other" if different else "same"})


def _time_of(opened: OpenFile, position: int) -> float:
    rank = max(0, int(opened.packets.ranks[position]))
    return float(opened.index.times_seconds[rank])


def _key_frames(opened: OpenFile) -> Iterator[Trace]:
    steps = np.diff(opened.index.key_frames)
    if opened.facts.is_picture:
        return
    if len(steps) == 0:
        yield Trace("key_frames", "The film has one key frame: it can be decoded from its start alone.", {"count": "1"})
        return
    count, usual = len(steps) + 1, int(np.bincount(np.minimum(steps, 100_000)).argmax())
    odd = int((steps != usual).sum())
    rhythm = f"every {usual} frames" if odd == 0 else f"mostly every {usual} frames, with {odd} exceptions"
    if odd > len(steps) / 2:
        rhythm = f"in no rhythm, {int(steps.min())} to {int(steps.max())} frames apart"
    values = {"count": str(count), "usual_frames": str(usual), "exceptions": str(odd)}
    yield Trace("key_frames", f"The film has {count} key frames, {rhythm}.", values)


def _hidden_frames(opened: OpenFile) -> Iterator[Trace]:
    hidden = int((opened.packets.ranks < 0).sum())
    if hidden:
        total = len(opened.packets.ranks)
        reason = f"{hidden} of {total} pictures in the file are not shown: an edit list, or a cut without encoding."
        yield Trace("hidden_frames", reason, {"hidden": str(hidden), "pictures": str(total)})


def _time_gaps(opened: OpenFile) -> Iterator[Trace]:
    times = opened.index.times_seconds
    steps = np.diff(times)
    if not opened.index.stamped or len(steps) < 8:
        return
    usual = float(np.median(steps))
    places = np.flatnonzero(steps > max(GAP_STEPS * usual, MIN_GAP_SECONDS))
    if len(places):
        longest = float(steps[places].max())
        where = _list([float(times[place]) for place in places])
        reason = (
            f"The time stamps have {len(places)} gaps, up to {longest:.2f} s where {usual:.3f} s are usual: {where}."
        )
        yield Trace("time_gaps", reason, {"count": str(len(places)), "longest_seconds": f"{longest:.3f}"})


def _sound(opened: OpenFile) -> Iterator[Trace]:
    sound, facts = opened.facts.audio, opened.facts
    if sound is None:
        return
    start = (sound.start_seconds or 0.0) - (facts.start_seconds or 0.0)
    if abs(start) >= MIN_SOUND_SECONDS:
        when = "later" if start > 0 else "earlier"
        reason = f"The sound begins {abs(start):.2f} s {when} than the picture."
        yield Trace("sound", reason, {"start_difference_seconds": f"{start:.3f}"})
    if sound.duration_seconds is None:
        return
    end = start + sound.duration_seconds - facts.duration_seconds
    if abs(end) >= MIN_SOUND_SECONDS:
        when = "later" if end > 0 else "earlier"
        reason = f"The sound ends {abs(end):.2f} s {when} than the picture."
        yield Trace("sound", reason, {"end_difference_seconds": f"{end:.3f}"})


def _dates(opened: OpenFile) -> Iterator[Trace]:
    dates: dict[str, str] = {}
    for tag in opened.sayings.named("creation_time"):
        dates.setdefault(tag.place, plain(tag.value, 40))
    if len(set(dates.values())) > 1:
        words = ", ".join(f"{place} {date}" for place, date in list(dates.items())[:MAX_NAMED])
        reason = f"The file and its tracks were not made at one time: {words}."
        yield Trace("dates", reason, dict(list(dates.items())[:MAX_NAMED]))


def _second_encoding(opened: OpenFile) -> Iterator[Trace]:
    """Tell of signs that the film was encoded before; how often there are such signs stands in docs/evidence.md."""
    rhythm, comb = find_rhythm(*picture_sizes(opened)), comb_strength(opened)
    signs: list[str] = []
    values: dict[str, str] = {}
    if rhythm is not None and rhythm.strength >= MIN_STRENGTH:
        signs.append(f"pictures every {rhythm.period_frames} frames cost more than those around them")
        values |= {"period_frames": str(rhythm.period_frames), "strength": f"{rhythm.strength:.1f}"}
    if comb is not None and comb > 0:
        signs.append("the first picture holds the rounding of a coarser encoding than its own")
        values["comb"] = f"{comb:.2f}"
    if signs:
        reason = f"There are signs of an earlier encoding: {'; '.join(signs)}. {HOW_OFTEN}; see docs/evidence.md."
        yield Trace("second_encoding", reason, values)


def picture_sizes(opened: OpenFile) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the arguments of `find_rhythm`."""
    ranks = opened.packets.ranks
    shown = ranks >= 0
    places = np.flatnonzero(shown)[np.argsort(ranks[shown], kind="stable")]
    is_key = np.isin(places, opened.index.key_packets)
    return opened.packets.sizes[places], is_key, (ranks < np.maximum.accumulate(ranks))[places]


def _list(times_seconds: list[float], unit: str = " s") -> str:
    more = len(times_seconds) - MAX_NAMED
    words = ", ".join(f"{time:.2f}{unit}" for time in times_seconds[:MAX_NAMED])
    return f"{words} and {more} more" if more > 0 else words
