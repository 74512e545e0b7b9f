"""Hand a clip to a running service, follow its scan, print the verdict.

    unmask serve &
    python examples/05_service.py clip.mp4

Needs: pip install httpx
"""

import os
import sys
from pathlib import Path

import httpx

url, clip = os.environ.get("UNMASK_URL", "http://127.0.0.1:8000"), Path(sys.argv[1])
with httpx.Client(base_url=url, timeout=120) as service, clip.open("rb") as file:
    job = service.post("/api/jobs", files={"file": (clip.name, file)}).raise_for_status().json()
    with service.stream("GET", f"/api/jobs/{job['id']}/events", timeout=None) as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                print(line.removeprefix("data: ")[:100], file=sys.stderr)
    verdict = service.get(f"/api/jobs/{job['id']}/verdict").json()
    print(f"{verdict['label'] or verdict['status']}: {clip.name}")
    for reason in verdict["reasons"]:
        print(f"  {reason}")
