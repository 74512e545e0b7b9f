"""Copy the bundled model's numbers from its card into the README, between the markers.

python scripts/update_readme.py [--check]
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from unmask.models import load_card, model_folder

MIN_CELL = 50
"""Authentic copies that a cell needs to be named as the worst."""
README = Path(__file__).parents[1] / "README.md"


def card_text() -> str:
    """Say in two sentences what the held-out numbers of the card are."""
    facts = load_card(model_folder("bundled")).evaluation["quality"]
    held_out, cells = facts["held_out"], [cell for cell in facts["cells"] if cell["authentic"] >= MIN_CELL]
    kinds = sorted({cell["copy"] for cell in facts["cells"]})
    worst = max(cells, key=lambda cell: cell["called_fake"] / cell["authentic"])
    low, high = worst["called_fake_95"]
    text = (
        f"Measured on {len(kinds)} kinds of copies ({', '.join(kinds)}) of excerpts from {facts['authentic_sources']} "
        f"authentic and {facts['fake_sources']} fake sources ({facts['data']}), each judged by a fit to other sources: "
        f"it called {held_out['authentic_called_fake']:.1%} of the authentic copies fake and "
        f"{held_out['authentic_called_real']:.0%} real, {held_out['fake_called_fake']:.0%} of the fakes fake and "
        f"{held_out['fake_called_real']:.0%} real, and was inconclusive about the rest. The worst cell of copy and "
        f"face size with {MIN_CELL} authentic copies or more is {worst['copy']} at {worst['size']} pixels: "
        f"{worst['called_fake'] / worst['authentic']:.1%} called fake (95 % interval {low:.1%} to {high:.1%}). AUC "
        f"over all copies: {held_out['auc']:.2f} (`{facts['script']}`, seed {facts['seed']})."
    )
    return "\n".join(textwrap.wrap(text, 120))


def main() -> None:
    """Write the README, or say whether it is up to date."""
    text = README.read_text()
    updated = re.sub(
        r"(<!-- card -->\n).*?(<!-- /card -->)", lambda m: f"{m[1]}{card_text()}\n{m[2]}", text, flags=re.S
    )
    if "--check" in sys.argv:
        sys.exit(updated != text)
    README.write_text(updated)


if __name__ == "__main__":
    main()
