"""Write a clip with sound, and what ffprobe says of it and of a clip of colours; recorded with ffprobe 5.1.9.

python -m tests.media.ffprobe.record
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.media_factory import pattern, write_video

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded.json"
CLIPS = (FOLDER / "tone.mp4", FOLDER.parent / "colours" / "bt709_full.mp4", FOLDER.parent / "colours" / "odd.avi")
NOTEBOOK = ["-show_format", "-show_streams", "-show_programs", "-show_chapters", "-show_private_data", "-show_error"]
"""How the challenge's exploration notebook calls it."""


def main() -> None:
    if not CLIPS[0].exists():
        write_video(CLIPS[0], [pattern(n, (64, 48)) for n in range(6)], tone=True, metadata={"title": "Über"})
    recorded = {}
    for clip in CLIPS:
        command = ["ffprobe", "-v", "quiet", "-print_format", "json", *NOTEBOOK, clip.name]
        recorded[clip.name] = json.loads(
            subprocess.run(command, cwd=clip.parent, capture_output=True, check=True).stdout
        )
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
