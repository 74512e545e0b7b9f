"""Serve with the stub, in a process of its own: ``python -m tests.web.run_server DATA LOG [SECONDS]``."""

import sys
from pathlib import Path

from tests.web.conftest import stub_settings
from unmask.web.serve import serve

if __name__ == "__main__":
    data, log, seconds = Path(sys.argv[1]), sys.argv[2], float((sys.argv[3:] or ["0"])[0])
    settings = stub_settings(data.parent, data=data, port=0, stub={"log": log, "seconds": seconds})
    serve(settings, lambda address: print(address, flush=True))
