"""Run the service: a page and an API on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.cli.console import say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.options import MODELS_OPTION, WORKERS_OPTION

EPILOG = (
    "The token stands in the environment variable UNMASK_TOKEN. Stop with Ctrl-C: what is under way goes on next time."
)


def serve(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of files and history; default: ~/.local/share/unmask.", show_default=False),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    database: Annotated[
        str | None, typer.Option(help="PostgreSQL address; default: SQLite in the data folder.", show_default=False)
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate (PEM), for https; default: plain http.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Private key, where it is not in the certificate's file.", show_default=False)
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name of this service; repeat.", show_default=False)
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A page or plug-in that may use it; repeat.", show_default=False)
    ] = None,
    model: Annotated[list[str] | None, MODELS_OPTION] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to look at in each video.")] = 32,
    workers: Annotated[int | None, WORKERS_OPTION] = None,
    max_upload: Annotated[str, typer.Option(help="Longest file that is taken, e.g. 500M or 4G.")] = "2G",
    max_queue: Annotated[
        int, typer.Option(min=1, help="Jobs that may wait; further ones are told to come back.")
    ] = 100,
    keep_days: Annotated[
        float | None, typer.Option(help="Days until finished jobs are deleted; default: never.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
) -> None:
    """Run the service: drop a clip on its page, or ask over HTTP."""
    with wrong_use():
        from dataclasses import asdict

        from unmask.cli.outputs import SERVED, check_output
        from unmask.web.serve import serve as run
        from unmask.web.settings import ServeSettings, default_data_folder

        if data is not None:
            check_output("--data", data, SERVED)
        options: dict[str, Any] = {"models": model, "frames": frames, "limits": asdict(parse_limits(limits or ()))}
        settings = ServeSettings(
            data=data or default_data_folder(),
            database=database,
            host=host,
            port=port,
            token=os.environ.get("UNMASK_TOKEN") or None,
            certificate=certificate,
            key=key,
            hosts=tuple(allow_host or ()),
            origins=tuple(allow_origin or ()),
            workers=workers,
            queue_limit=max_queue,
            max_upload_bytes=_bytes(max_upload),
            keep_days=keep_days,
            scanner_options=options,
        )
        say("unmask: starting; Ctrl-C stops")
        try:
            run(settings, lambda address: print(address, flush=True))
        except KeyboardInterrupt:
            say("unmask: stopped; jobs that were under way go on next time")


def _bytes(text: str) -> int:
    from unmask.errors import UsageError

    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    try:
        return int(float(text.rstrip("KMGkmg")) * unit)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--max-upload {text!r} is no length; write 500M or 4G") from error
