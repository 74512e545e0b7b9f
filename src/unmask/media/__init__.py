"""From a file to upright RGB frames.

    with open_video("clip.mp4") as video:
        video.facts                             # MediaFacts
        for frame in read_frames(video, pick_frames(video, 32)):
            frame.image_HW3, frame.time_seconds

`open_video` is the one door through which bytes reach FFmpeg: a regular file, opened once and handed over as
a descriptor, never as a name or an address.
"""

from unmask.media.frames import SAMPLINGS, pick_frames, read_frames, sample_frames
from unmask.media.probe import Video, open_video, probe

__all__ = ["SAMPLINGS", "Video", "open_video", "pick_frames", "probe", "read_frames", "sample_frames"]
