"""Which number format of a model is the fastest on this machine: measured once, and kept.

Whether a CPU computes a network faster in bf16 or in int8 depends on both. The answer is kept in a file beside the
user's models, so that all processes of a machine take the same format: verdicts of one run have the same settings.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unmask.models.card import INT8_FILES, ONNX_FILE, Card
from unmask.runtime.openvino import computes_in_bf16, cpu_name, ov
from unmask.storage.atomic import atomic_file
from unmask.storage.home import models_home

log = logging.getLogger(__name__)

ROUNDS = 3
"""Times that each network is run; the least time counts."""
MIN_GAIN = 0.02
"""A format that is faster by less does not take the place of an earlier one in `candidates`."""


def candidates(card: Card) -> tuple[str, ...]:
    """Return the formats that a model may be computed in on this CPU for speed, those first that win a draw.

    int8 where the model has such a network, which was checked when it was made and scores the same on every processor;
    and bf16 where the CPU computes in it and the card does not say that it changes the scores, else fp32.
    """
    int8 = ("int8",) if INT8_FILES[0] in card.files else ()
    return (*int8, "bf16" if card.precision == "auto" and computes_in_bf16() else "fp32")


def choose(seconds: Mapping[str, float]) -> str:
    """Return the fastest of some formats, the first of those that are about as fast."""
    least = min(seconds.values())
    return next(name for name, taken in seconds.items() if taken <= least * (1 + MIN_GAIN))


def measure(requests: Mapping[str, list[ov.InferRequest]], batch_NSS3: np.ndarray) -> dict[str, float]:
    """Return the least seconds in which the requests of each format, side by side, compute a batch each.

    The formats take turns, forth and back, after one turn of warming up.
    """
    names, seconds = list(requests), dict.fromkeys(requests, float("inf"))
    for turn in range(ROUNDS + 1):
        for name in names if turn % 2 else names[::-1]:
            started = time.perf_counter()
            for request in requests[name]:
                request.start_async({0: batch_NSS3}, share_inputs=True)
            for request in requests[name]:
                request.wait()
            if turn:
                seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds


def machine_key(card: Card, names: tuple[str, ...]) -> str:
    """Return what an answer holds for: the network, its size, the formats, the CPU, and OpenVINO's version.

    Members of an ensemble with the same network share an answer.
    """
    files = [card.files[name].sha256 for name in (ONNX_FILE, INT8_FILES[0]) if name in card.files]
    network = asdict(card.network) if card.network is not None else files
    text = json.dumps([network, card.crop.size_px, names, cpu_name(), ov.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answers_file() -> Path:
    """Return the file of the answers, a JSON object; without it all is measured again."""
    return models_home().parent / "fastest.json"


def known_answer(key: str) -> str | None:
    """Return what was measured before; None where nothing was, or the file cannot be read."""
    try:
        answer = json.loads(answers_file().read_text())[key]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return answer if isinstance(answer, str) else None


def keep_answer(key: str, answer: str) -> str:
    """Write an answer down, unless another process did meanwhile; return the one that holds."""
    if (earlier := known_answer(key)) is not None:
        return earlier
    path = answers_file()
    try:
        answers = json.loads(path.read_text()) if path.is_file() else {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(json.dumps({**answers, key: answer}, indent=1).encode() + b"\n")
    except (OSError, ValueError, TypeError) as error:
        log.warning("which format is the fastest is measured each time: %s cannot be kept (%s)", path, error)
    return answer
