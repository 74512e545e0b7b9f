"""From a file to upright RGB frames.

    with open_video("clip.mp4") as video:
        video.facts                             # MediaFacts
        for frame in read_frames(video, pick_frames(video, 32)):
            frame.image_HW3, frame.time_seconds

`open_video`, `read_sound` and `read_description` are the only ways by which the bytes of a file reach FFmpeg: a
regular file, opened once, handed over as a descriptor, never as a name or an address, to a process that can do nothing
but decode it. See `unmask.media.decoder`. `open_pieces_folder` and `open_playlist` open each piece of a recording so.
"""

from unmask.media.decoder import guards_in_force, prepare_decoding
from unmask.media.frame_list import frames_of_folder, hash_frames, open_clip, open_frames_folder, video_of_arrays
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.playlist import is_playlist
from unmask.media.recording import open_pieces_folder, open_playlist
from unmask.media.regular import hashed, open_regular, sha256_of
from unmask.media.sampling import SAMPLINGS
from unmask.media.shots import Shots, find_shots
from unmask.media.signature import SignatureLog
from unmask.media.video import (
    Video,
    ask_file,
    open_video,
    open_video_file,
    pick_frames,
    probe,
    read_description,
    read_frames,
    read_sound,
    sample_frames,
)

__all__ = [
    "SAMPLINGS",
    "FrameIndex",
    "Limits",
    "Shots",
    "SignatureLog",
    "Video",
    "ask_file",
    "find_shots",
    "frames_of_folder",
    "guards_in_force",
    "hash_frames",
    "hashed",
    "is_playlist",
    "open_clip",
    "open_frames_folder",
    "open_pieces_folder",
    "open_playlist",
    "open_regular",
    "open_video",
    "open_video_file",
    "pick_frames",
    "prepare_decoding",
    "probe",
    "read_description",
    "read_frames",
    "read_sound",
    "sample_frames",
    "sha256_of",
    "video_of_arrays",
]
