"""Let assistants and editors ask a running service, over the Model Context Protocol."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from unmask.cli.console import wrong_use

EPILOG = "The service's token, if it has one, stands in the environment variable UNMASK_TOKEN."


def mcp(
    url: Annotated[str, typer.Option(help="Address of the running service.")] = "http://127.0.0.1:8000",
) -> None:
    """Answer assistants on stdin and stdout (Model Context Protocol) with the jobs of `unmask serve`."""
    with wrong_use():
        from unmask.web.assistant import ServiceClient, make_server

        with closing(ServiceClient(url, os.environ.get("UNMASK_TOKEN") or None)) as client:
            make_server(client).run("stdio")
