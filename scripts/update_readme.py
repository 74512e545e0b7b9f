"""Copy the bundled model's numbers from its card into the README, between the markers.

python scripts/update_readme.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from unmask.models import load_card, model_folder

README = Path(__file__).parents[1] / "README.md"


def card_text() -> str:
    """Say in two sentences what the held-out numbers of the card are."""
    card = load_card(model_folder("bundled"))
    facts = card.evaluation["thresholds"]
    clips, held_out = facts["clips"], facts["held_out_by_group"]
    low, high = held_out["auc_unencoded_95"]
    return (
        f"On {clips['authentic']} authentic clips, {clips['authentic_reencoded']} re-encoded copies of them (x264, crf "
        f"{min(facts['crf'])} to {max(facts['crf'])}) and {clips['fake']} FaceForensics++ fakes (c40),\n"
        "with each source's clips judged by a fit to the others, it called "
        f"{held_out['authentic_called_fake']:.1%} of the authentic clips fake and "
        f"{held_out['authentic_called_real']:.0%} real,\n"
        f"{held_out['fake_called_fake']:.0%} of the fakes fake and {held_out['fake_called_real']:.0%} real, and was "
        f"inconclusive about the rest. AUC on clips as they are: {held_out['auc_unencoded']:.2f}\n"
        f"(95 % interval {low:.2f} to {high:.2f}; `{facts['script']}`, seed {facts['seed']})."
    )


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
