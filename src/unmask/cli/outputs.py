"""The forms of what the commands write, beside those of a scan; see `unmask.storage.outputs`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unmask.storage.outputs import (
    FileForm,
    FolderForm,
    Output,
    PathLike,
    Recogniser,
    check_outputs,
    is_own_page,
    json_form,
    log_form,
)


def _table_form(fact: str) -> Recogniser:
    """Recognise a Parquet table by the text about it."""

    def is_own(path: Path) -> bool:
        from unmask.datasets.parquet import read_header
        from unmask.errors import UsageError

        try:
            return fact in read_header(path)[1]
        except UsageError as error:
            raise ValueError("no Parquet table, or one that cannot be read") from error

    return is_own


def _is_counts(path: Path) -> bool:
    """Recognise counts for Prometheus."""
    with path.open("rb") as file:
        return file.readline(_LONGEST_HEAD_BYTES).startswith(b"# HELP unmask_")


_LONGEST_HEAD_BYTES = 1 << 10
_EVALUATION_KEYS = ("about", "seed", "repeats", "answered", "missing")

EXPLORATION = FolderForm(
    "the exploration",
    (("explore.jsonl", log_form(("key", "id", "status", "asked"))),),
    ("explore.jsonl", "index.html", "videos.parquet", "faces.parquet", "index.parquet", "frames", "audio"),
    "explored",
)
PREPARED = FolderForm(
    "the prepared dataset",
    (("manifest.jsonl", log_form(("unmask",), ("id", "status", "leader", "sha256"))),),
    (
        "manifest.jsonl",
        "folds.csv",
        "skipped.csv",
        "changed.csv",
    ),  # of folders, the command says itself which it did not write
    "prepared",
)
RUN = FolderForm(
    "the run",
    (("recipe.json", json_form("name", "purpose", "network", "crop", "epochs")),),
    ("recipe.json", "log.jsonl", "loss.html", "tensorboard", "last", "best", "epoch_*"),
    "run",
)
CASCADE = FolderForm(
    "the run",
    (("recipe.json", json_form("kind", "name", "purpose", "steps")),),
    ("recipe.json", "log.jsonl", "*net.safetensors"),
    "run",
)
EMBEDDER = FolderForm(
    "the run",
    (("recipe.json", json_form("kind", "name", "purpose", "steps", "alignment")),),
    ("recipe.json", "log.jsonl", "last", "model"),
    "run",
)
FACES = FileForm("the faces", is_own_page, "faces.html")
LOSSES = FileForm("the losses", is_own_page, "loss.html")
MODEL = FolderForm(
    "the model",
    (("card.json", json_form("name", "version", "architecture", "licence", "crop", "files")),),
    ("card.json", "*.onnx", "*.safetensors"),
    "model",
)
EVALUATION = FolderForm(
    "the evaluation",
    (("evaluation.json", json_form(*_EVALUATION_KEYS)),),
    ("evaluation.json", "index.html"),
    "evaluation",
)
BENCH = FolderForm(
    "the benchmark",
    (
        ("predictions.jsonl", log_form(("key", "model", "dataset", "clip", "cell"))),
        ("bench.json", json_form("unmask_bench", "version")),
    ),
    ("predictions.jsonl", "bench.json", "bench.csv", "bench.md", "bench.tex", "index.html", "deepsafe"),
    "bench",
)
NUMBERS = FileForm("the numbers", json_form(*_EVALUATION_KEYS), "evaluation.json")
DATASET = FolderForm(
    "the dataset", (("part-00000.parquet", _table_form("unmask_dataset")),), ("part-*.parquet",), "verdicts"
)
MANIFEST = FileForm("the manifest", _table_form("unmask_manifest"), "clips.parquet")
WATCHED = FolderForm(
    "the verdicts",
    (("verdicts.jsonl", log_form(("schema_version", "status", "settings"))),),
    ("verdicts.jsonl",),
    "verdicts",
)
SERVED = FolderForm("files and history", (), (), "unmask-data")
SCALED = FolderForm("the run", (), (), "run")  # the run itself refuses a folder that holds anything else
COUNTS = FileForm("the counts", _is_counts, "unmask.prom")
SAMPLE = FolderForm("the sample", (), (), "sample")  # the command itself wants an empty folder


def check_named(named: Iterable[tuple[str, Path | None, FileForm]], inputs: Iterable[PathLike]) -> None:
    """Refuse outputs that would destroy something, before any work; what was not given, and stdout (-), cannot.

    Pages do not go to stdout.

    Raises:
        UsageError: One is an input, media, or somebody else's, or cannot be written there.
    """
    files = [Output(option, path, form) for option, path, form in named if path is not None]
    check_outputs([file for file in files if file.option == "--html" or str(file.path) != "-"], inputs)


def check_output(option: str, path: Path, form: FileForm | FolderForm, inputs: Iterable[PathLike] = ()) -> None:
    """Refuse an output that would destroy something.

    Raises:
        UsageError: It is an input, media, or somebody else's, or cannot be written there.
    """
    check_outputs([Output(option, path, form)], inputs)
