"""A detector for clips that were cut to a face already: the whole frame is one."""

from unmask import DetectorSpec, Face


class WholeFrame:
    """Finds one face, as large as the frame, in every frame."""

    def __init__(self, settings: DetectorSpec) -> None:
        self.settings = settings

    def detect(self, image_HW3):
        """Return the frame's own border as a face."""
        height, width = image_HW3.shape[:2]
        return [Face((0.0, 0.0, float(width), float(height)), confidence=1.0)]
