"""From a file to upright RGB frames.

    with open_video("clip.mp4") as video:
        video.facts                             # MediaFacts
        for frame in read_frames(video, pick_frames(video, 32)):
            frame.image_HW3, frame.time_seconds

`open_video` is the one door through which bytes reach FFmpeg: a regular file, opened once, handed over as a descriptor,
never as a name or an address, to a process that can do nothing but decode it. See `unmask.media.guard`.
"""

from unmask.media.container import Limits, sha256_of
from unmask.media.frames import SAMPLINGS, pick_frames
from unmask.media.guard import (
    Video,
    isolation,
    open_video,
    open_video_file,
    probe,
    read_frames,
    read_sound,
    sample_frames,
)

__all__ = [
    "SAMPLINGS",
    "Limits",
    "Video",
    "isolation",
    "open_video",
    "open_video_file",
    "pick_frames",
    "probe",
    "read_frames",
    "read_sound",
    "sample_frames",
    "sha256_of",
]
