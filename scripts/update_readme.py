"""Copy the bundled model's numbers from its card into the README, between the markers.

python scripts/update_readme.py [--check]
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from unmask.models import load_card, model_folder

README = Path(__file__).parents[1] / "README.md"


def card_text() -> str:
    """Say in two sentences what the held-out numbers of the card are."""
    card = load_card(model_folder("bundled"))
    facts = card.evaluation["calibration"]
    clips, held_out, separation = facts["clips"], facts["held_out"], facts["separation"]
    low, high = separation["auc_95"]
    copies = clips["authentic_degraded"] + clips["fake_degraded"]
    text = (
        f"Measured on {clips['authentic']} authentic and {clips['fake']} fake clips ({facts['data']}) and {copies} "
        f"degraded copies of them ({', '.join(facts['degradations'])}), each source's clips judged by a fit to the "
        f"others: it called {held_out['authentic_called_fake']:.1%} of the authentic clips fake and "
        f"{held_out['authentic_called_real']:.0%} real, {held_out['fake_called_fake']:.0%} of the fakes fake and "
        f"{held_out['fake_called_real']:.0%} real, and was inconclusive about the rest. AUC of undegraded clips: "
        f"{separation['auc']:.2f} (95 % interval {low:.2f} to {high:.2f}; `{facts['script']}`, seed {facts['seed']})."
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
