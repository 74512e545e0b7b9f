"""The parts of the flow: facts, frames, faces, crops, verdicts for a folder, and reports.

python examples/02_api.py
"""

import tempfile
from pathlib import Path

import unmask
from make_clips import make_clips
from unmask.faces import crop_face, load_detector

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    authentic, blended = make_clips(folder / "clips")

    # What the file is.
    facts = unmask.probe(blended)
    print(f"{facts.codec}, {facts.width}x{facts.height}, {facts.frames} frames in {facts.duration_seconds:.1f} s")

    # Frames, faces and crops, one at a time: memory does not grow with the clip.
    spec = unmask.CropSpec(size_px=160)
    detector = load_detector(spec.detection)
    for frame in unmask.sample_frames(blended, 4):
        for face in detector.detect(frame.image_HW3):
            crop = crop_face(frame.image_HW3, face, spec)
            print(f"{frame.time_seconds:.2f} s: {face} -> crop {crop.shape}")

    # A folder: one verdict for each clip, whatever happens to any of them.
    (folder / "clips" / "broken.mp4").write_bytes(b"not a video")
    scanner = unmask.Scanner(frames=8)
    for verdict in scanner.scan_many(folder / "clips"):
        print(Path(verdict.path).name, verdict.status, verdict.label, verdict.fake_probability)
        for person in verdict.faces:
            print(f"  person {person.person}: {person.start_seconds:.1f}-{person.end_seconds:.1f} s, {person.label}")
        verdict.save(folder / f"{Path(verdict.path).stem}.html")  # the suffix picks the form: .json .html .csv
    print(sorted(path.name for path in folder.glob("*.html")))
