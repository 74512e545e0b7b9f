"""Write what the wheel carries beside its own code to sbom.cdx.json (CycloneDX 1.6), which the wheel holds (PEP 770).

python scripts/make_sbom.py

That is the bundled model, whose files are named with their sha256. What pip installs beside it is not in the wheel:
THIRD_PARTY.md lists its terms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unmask._version import __version__
from unmask.models.card import bundled_folder, load_card

PATH = Path(__file__).parents[1] / "sbom.cdx.json"


def bill() -> dict[str, Any]:
    """Return the bill of materials; without a date or a random number, so that the wheel is the same each time."""
    card = load_card(bundled_folder())
    terms = {"license": {"name": "LicenseRef-unmask-weights", "text": {"content": card.licence}}}
    files = [
        {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": facts.sha256}]}
        for name, facts in sorted(card.files.items())
    ]
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "bundled-model",
        "name": f"unmask {card.name}",
        "version": card.version,
        "description": card.purpose,
        "licenses": [terms],
        "components": files,
    }
    package = {
        "type": "library",
        "bom-ref": "unmask",
        "name": "unmask",
        "version": __version__,
        "purl": f"pkg:pypi/unmask@{__version__}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": package},
        "components": [model],
        "dependencies": [{"ref": "unmask", "dependsOn": ["bundled-model"]}, {"ref": "bundled-model"}],
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(bill(), indent=1) + "\n")
