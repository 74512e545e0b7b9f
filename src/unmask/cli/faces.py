"""Find the faces of one image or frame, and show how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import wrong_use
from unmask.cli.outputs import FACES, check_output


def faces(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|CLIP", help="An image or a video.", show_default=False)],
    stages: Annotated[
        bool, typer.Option("--stages", help="Also show pyramid, candidates and NMS of P-Net, R-Net and O-Net.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Draw it as a page, e.g. faces.html.", show_default=False)] = None,
    at: Annotated[float, typer.Option(min=0, help="Which frame of a clip, in seconds.")] = 0.0,
) -> None:
    """Find the faces of one image, or of one frame of a clip, with MTCNN, and show the steps."""
    with wrong_use():
        from unmask.datasets import is_video
        from unmask.datasets.synthetic import read_portrait
        from unmask.explore.faces import read_frame_at, show_faces, write_faces_page

        if out is not None:
            check_output("--out", out, FACES, [source])
        image_HW3 = read_frame_at(source, at) if is_video(source) else read_portrait(source)
        shown = show_faces(image_HW3, stages=stages)
        if out is not None:
            write_faces_page(shown, source.name, out)
    for panel in shown.panels if stages else ():
        print(f"{panel.title}: {panel.count}")
    for number, face in enumerate(shown.faces, 1):
        edges = " ".join(f"{edge:.1f}" for edge in face.xyxy_px)
        print(f"face {number}: {edges} px, confidence {face.confidence:.4f}")
    if not shown.faces:
        print("no face")
