"""What the service costs: from its start to a verdict, answers while it scans, memory.

    python benchmarks/bench_serve.py --clips CLIPS --out benchmarks/results/serve.json

``unmask serve`` is started as users start it, with two workers. A clip of ten seconds is handed in as soon as it
answers; the time runs from the start of the process to the verdict. Then the clips of ``--clips`` are handed in, each
in several copies that differ by a few bytes, and while they are scanned one client asks ``/healthz`` every 20 ms.
Memory is that of the server, and of the process that scans. Linux only.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from common import Goal, clips_of, parser, write
from unmask.datasets.synthetic import film, read_portrait, write_clip

PORTRAIT = Path(__file__).parents[1] / "examples" / "data" / "eileen_collins.png"
COPIES = 4
ASK_SECONDS = 0.02


def main() -> None:
    arguments = parser(__doc__).parse_args()
    rounds, copies = (1, 2) if arguments.quick else (arguments.rounds, COPIES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = write_clip((view for view, _ in film(read_portrait(PORTRAIT), 250)), folder / "clip.mp4")
        starts = [measure_start(clip, folder / str(turn)) for turn in range(rounds)]
        loaded = measure_load([one.path for one in clips_of(arguments)], folder / "load", copies)
    goals = [
        Goal.single(
            "A4", "seconds from the start of the service to the verdict on a clip of 10 s", max(starts), 10, None, True
        ),
        Goal.single("H1", "p99 of /healthz while two clips are scanned, in ms", loaded["p99_ms"], 50, None, True),
        Goal.single("H2", "memory of the server at most, in MB", loaded["server_mb"], 200, None, True),
    ]
    write(arguments, goals, {"starts_seconds": starts, "load": loaded})


def start(data: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "unmask", "serve", "--port", "0", "--workers", "2", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def hand_in(client: httpx.Client, name: str, content: bytes) -> str:
    answer = client.post("/api/jobs", files={"file": (name, content)})
    return str(answer.raise_for_status().json()["id"])


def measure_start(clip: Path, data: Path) -> float:
    """Return the seconds from the start of the process to the verdict."""
    content, began = clip.read_bytes(), time.perf_counter()
    process, address = start(data)
    with httpx.Client(base_url=address, timeout=120) as client:
        job = hand_in(client, clip.name, content)
        while client.get(f"/api/jobs/{job}").json()["state"] not in ("done", "failed"):
            time.sleep(0.05)
        took = time.perf_counter() - began
    stop(process)
    print(f"start to verdict: {took:.2f} s", flush=True)
    return took


def measure_load(clips: list[Path], data: Path, copies: int) -> dict[str, float]:
    """Return how long /healthz takes while clips are scanned, and the memory of both processes."""
    process, address = start(data)
    times: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            while not over.wait(ASK_SECONDS):
                began = time.perf_counter()
                assert client.get("/healthz").status_code == 200
                times.append(1000 * (time.perf_counter() - began))

    with httpx.Client(base_url=address, timeout=120) as client:
        while not client.get("/api/about").json()["ready"]:
            time.sleep(0.1)
        asking = threading.Thread(target=ask)
        asking.start()
        began = time.perf_counter()
        for copy in range(copies):
            for clip in clips:
                hand_in(client, clip.name, clip.read_bytes() + b"\0\0\0\x0cfree" + bytes([copy] * 4))
        while client.get("/api/jobs", params={"state": ["queued", "running"]}).json()["total"]:
            time.sleep(0.1)
        took = time.perf_counter() - began
        over.set()
        asking.join()
        done = client.get("/api/jobs", params={"state": "done"}).json()["total"]
    child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    memory = {"server_mb": peak_mb(process.pid), "scanning_mb": peak_mb(child)}
    stop(process)
    assert not list((data / "incoming").iterdir())
    quantiles = {f"p{q}_ms": float(np.quantile(times, q / 100)) for q in (50, 95, 99)}
    return quantiles | memory | {"clips": float(done), "seconds": took, "answers": float(len(times))}


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
