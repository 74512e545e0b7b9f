"""Copy the sound of a video as it is."""

from __future__ import annotations

from pathlib import Path

from unmask.media import Limits, read_sound
from unmask.storage.atomic import atomic_file


def copy_audio(video: Path, folder: Path, name: str, limits: Limits = Limits()) -> Path | None:  # noqa: B008 - frozen
    """Copy the first sound track of a video into a file of its own, without encoding it again.

    Args:
        video: The video.
        folder: Where to; made when missing.
        name: File name without suffix.
        limits: Limits on time, memory and pixels.

    Returns:
        The file; None when the video is silent.

    Raises:
        InputError: The video cannot be read, or its sound cannot be copied.
    """
    sound = read_sound(video, limits)
    if sound is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.{sound.suffix}"
    with atomic_file(target) as file:
        file.write(sound.content)
    return target
