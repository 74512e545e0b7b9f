"""The stub for films of which every text that a file, a model or the scan can bring is hostile."""

from __future__ import annotations

from dataclasses import replace

from tests.html.inert import TEXT
from tests.web.film_stub import FilmStub
from unmask.facts import DeclaredLabel, Trace


class HostileStub(FilmStub):
    """Answers as the stub for films does, with `TEXT` wherever there is a text."""

    def scan_video(self, video, draft):
        """Tell of people, labels and traces in hostile words."""
        verdict = super().scan_video(video, draft)
        return replace(
            verdict,
            reasons=(TEXT, *verdict.reasons),
            warnings=(TEXT,),
            models=({"name": TEXT, "version": TEXT, "sha256": "0" * 64},),
            declared=(DeclaredLabel("program", "edited", TEXT, TEXT, {"program": TEXT}),),
            traces=(Trace("written_by", TEXT, {"encoder": TEXT}),),
            media=replace(video.facts, encoder=TEXT, codec=TEXT, container=TEXT),
            faces=tuple(replace(face, region=TEXT, models={TEXT: face.fake_probability}) for face in verdict.faces),
            settings=verdict.settings | {TEXT: TEXT},
            libraries={TEXT: TEXT},
        )


def make(models=None, frames=0, limits=None, **options):
    """Return the stub; what the command line says of models is passed over."""
    return HostileStub(**options)
