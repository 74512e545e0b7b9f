"""Who follows a job hears of its end."""

import asyncio
import json

from unmask.web.events import Board


def heard(board, look):
    async def listen():
        async with asyncio.timeout(30):
            return [text async for text in board.listen("a", look)]

    texts = asyncio.run(listen())
    assert texts.pop(0) == "retry: 2000\n\n"
    lines = [text.strip().splitlines() for text in texts]
    return [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in lines]


def test_a_job_that_ends_while_it_is_looked_at():
    board = Board()

    async def look():
        board.publish("job", {"id": "a", "state": "done"})
        return {"id": "a", "state": "running"}

    assert heard(board, look) == [("job", {"id": "a", "state": "running"}), ("job", {"id": "a", "state": "done"})]


def test_a_job_that_has_ended():
    async def look():
        return {"id": "a", "state": "failed"}

    assert heard(Board(), look) == [("job", {"id": "a", "state": "failed"})]


def test_a_job_that_is_gone():
    async def look():
        return None

    assert heard(Board(), look) == [("deleted", {"id": "a"})]
