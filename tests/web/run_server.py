"""Serve with the stub, in a process of its own: ``python -m tests.web.run_server FOLDER [OPTIONS as JSON]``."""

import json
import sys
from pathlib import Path

from tests.web.conftest import stub_settings
from unmask.web.serve import serve

if __name__ == "__main__":
    settings = stub_settings(Path(sys.argv[1]), port=0, **json.loads((sys.argv[2:] or ["{}"])[0]))
    serve(settings, lambda address: print(address, flush=True))
