"""The clients of examples/, and the server for assistants, over the jobs of a running service."""

import asyncio
import os
import runpy
import subprocess
import sys
import types
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.conftest import clip, running, stub_settings

EXAMPLES = Path(__file__).parents[2] / "examples"
TOKEN = "a-token-of-some-length"


def test_the_python_client(service, tmp_path):
    (tmp_path / "clip.png").write_bytes(clip("example"))
    command = [sys.executable, str(EXAMPLES / "05_service.py"), str(tmp_path / "clip.png")]
    environment = os.environ | {"UNMASK_URL": str(service.client.base_url)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "real: clip.png\n  The stub says so.\n"
    assert '"id"' in done.stderr


def test_the_gradio_demo(monkeypatch, scanner, short_clips):
    """With gradio where it is installed, else with a stand-in that takes the same calls."""
    made = {}
    if "gradio" not in sys.modules:
        stub = types.ModuleType("gradio")
        stub.Video = stub.Label = stub.Markdown = lambda *args, **options: None
        stub.Interface = lambda function, *args, **options: made.update(options, function=function) or stub
        monkeypatch.setitem(sys.modules, "gradio", stub)
    monkeypatch.setattr("unmask.Scanner", lambda: scanner, raising=False)
    example = runpy.run_path(str(EXAMPLES / "06_gradio.py"))
    label, text = example["judge"](str(short_clips["blended"]))
    assert label["fake"] + label["real"] == pytest.approx(1)
    assert text.split("\n")[0] in ("fake", "real", "inconclusive")


@pytest.mark.parametrize("name", ["05_service.py", "06_gradio.py"])
def test_examples_have_twenty_lines_of_code(name):
    code = (EXAMPLES / name).read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    pytest.importorskip("mcp")  # here, since it takes long and each process collects all tests
    with running(stub_settings(tmp_path_factory.mktemp("asked"), token=TOKEN)) as service:
        yield service


def talk(service, conversation, token=TOKEN):
    """Talk to the server for assistants as a client does, within this process."""
    import mcp

    from unmask.web.assistant import ServiceClient, make_server

    with closing(ServiceClient(str(service.client.base_url), token)) as jobs:

        async def run():
            async with mcp.Client(make_server(jobs)) as client:
                return await conversation(client)

        return asyncio.run(run())


def test_an_assistant_scans_and_asks(asked, tmp_path):
    (tmp_path / "clip.png").write_bytes(clip("assistant"))

    async def conversation(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == ["history", "job", "scan", "verdict"]
        assert all(tool.description for tool in tools.values())
        job = (await client.call_tool("scan", {"source": str(tmp_path / "clip.png")})).structured_content
        assert (job["state"], job["label"], job["reason"]) == ("done", "real", "The stub says so.")
        assert (await client.call_tool("job", {"job_id": job["id"]})).structured_content == job
        verdict = (await client.call_tool("verdict", {"job_id": job["id"]})).structured_content
        assert (verdict["label"], verdict["pictures"]) == ("real", [])
        found = (await client.call_tool("history", {"search": "clip", "label": "real"})).structured_content
        assert [one["id"] for one in found["jobs"]] == [job["id"]]

    talk(asked, conversation)


def test_an_assistant_is_told_what_went_wrong(asked, tmp_path):
    (tmp_path / "text.txt").write_text("no video")

    async def conversation(client):
        answers = []
        for source in (str(tmp_path / "missing.mp4"), str(tmp_path / "text.txt"), "ftp://example.org/a.mp4"):
            answer = await client.call_tool("scan", {"source": source})
            assert answer.is_error
            answers.append(answer.content[0].text)
        return answers

    missing, text, address = talk(asked, conversation)
    assert "cannot read" in missing
    assert "no video and no picture" in text
    assert "https" in address

    async def without(client):
        return (await client.call_tool("history", {})).content[0].text

    assert "needs the token" in talk(asked, without, token=None)


@pytest.mark.slow
def test_the_command_speaks_on_stdin_and_stdout(asked, tmp_path):
    import mcp

    (tmp_path / "clip.png").write_bytes(clip("stdio"))
    environment = os.environ | {"UNMASK_TOKEN": TOKEN}
    command = ["-m", "unmask", "mcp", "--url", str(asked.client.base_url)]
    parameters = mcp.StdioServerParameters(command=sys.executable, args=command, env=environment)

    async def run():
        async with mcp.Client(parameters) as client:
            return (await client.call_tool("scan", {"source": str(tmp_path / "clip.png")})).structured_content

    assert asyncio.run(run())["label"] == "real"
