"""Know programs that make or cut films by the names that they write into files."""

from __future__ import annotations

import re
from typing import Literal

ProgramKind = Literal["generator", "editor"]

_GENERATORS = (
    "Adobe Firefly", "AnimateDiff", "AUTOMATIC1111", "CogVideo", "CogVideoX", "ComfyUI", "D-ID", "DeepFaceLab",
    "DeepFaceLive", "FaceFusion", "FaceSwap", "HeyGen", "Hailuo AI", "HunyuanVideo", "InvokeAI", "Kling AI", "KlingAI",
    "LivePortrait", "LTX-Video", "Luma Dream Machine", "Midjourney", "OpenAI Sora", "Pika Labs", "Rope-Next", "Roop",
    "Runway Gen", "RunwayML", "SadTalker", "Stable Diffusion", "Stable Video Diffusion", "Sora by OpenAI", "Synthesia",
    "Veo by Google", "Google Veo", "VideoReTalking", "Vidu AI", "Wav2Lip", "Wan2.1", "Wan2.2",
)  # fmt: skip
_EDITORS = (
    "Adobe After Effects", "Adobe Media Encoder", "Adobe Photoshop", "Adobe Premiere", "Avidemux",
    "Avid Media Composer",
    "Blackmagic Design", "Camtasia", "Canva", "CapCut", "Clipchamp", "DaVinci Resolve", "Filmora", "Final Cut Pro",
    "HitFilm", "InShot", "JianYing", "Kdenlive", "KineMaster", "Lightworks", "LosslessCut", "Movavi", "OpenShot",
    "PowerDirector", "Shotcut", "Sony Vegas", "VEGAS Pro", "VideoPad", "VirtualDub", "VN Video Editor",
    "Windows Movie Maker", "Wondershare", "iMovie",
)  # fmt: skip


def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(re.escape(name).replace(r"\ ", r"[ _-]?") for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z])", re.IGNORECASE)


_KNOWN: dict[ProgramKind, re.Pattern[str]] = {"generator": _pattern(_GENERATORS), "editor": _pattern(_EDITORS)}

_COMFY = re.compile(r'"(?:class_type|last_node_id)"\s*:')
"""In the workflow that ComfyUI writes into the tags ``prompt``, ``workflow`` and ``comment``."""

PROGRAM_TAGS = frozenset({
    "encoder", "encoded_by", "encoding_tool", "software", "creation_tool", "creatortool", "writing_application",
    "writing_library", "muxing_application", "handler_name", "generator", "com.apple.quicktime.software", "tool",
    "isft", "com.android.capture.app", "originator", "metadatacreator",
})  # fmt: skip
"""Tags, in small letters, that name the program which wrote the file."""
WORKFLOW_TAGS = frozenset({"prompt", "workflow", "comment", "description"})
"""Tags in which a generator keeps how a film was made."""
MAX_SEARCHED = 2000
"""Characters of a program's name that are searched."""


def find_program(text: str) -> tuple[ProgramKind, str] | None:
    """Return the kind and name of the known program that a text names, a generator before an editor."""
    for kind, pattern in _KNOWN.items():
        if found := pattern.search(text[:MAX_SEARCHED]):
            return kind, found.group()
    return None


def holds_workflow(text: str) -> bool:
    """Tell whether a text is a workflow of ComfyUI."""
    return text.lstrip()[:1] == "{" and _COMFY.search(text) is not None
