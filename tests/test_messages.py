"""The tone of messages: plain sentences about what happened, without blame, alarm or apology."""

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
UNWANTED = re.compile(
    r"\b(please|sorry|oops|illegal|invalid|stupid|abort(ed)?|fatal|simply|just|obviously)\b|!(?!=)", re.I
)
NAMES = ("OpenCV", "OpenVINO", "PyAV", "RetinaFace", "ONNX")
"""What a message may begin with in capitals."""


def messages():
    """Yield file, line and text of what is raised or said; what is filled in is an X."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            call = node.exc if isinstance(node, ast.Raise) else node
            says = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
            if not says or (call is node and call.func.id != "say"):
                continue
            for text in call.args:
                if isinstance(text, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "X" for part in text.values]
                    yield path, node.lineno, "".join(parts)
                elif isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield path, node.lineno, text.value


def test_messages_are_plain():
    found = list(messages())
    assert len(found) > 400
    for path, line, text in found:
        where = f"{path.relative_to(SOURCE)}:{line}: {text}"
        assert not UNWANTED.search(text), where
        body = text.removeprefix("unmask: ")
        assert body.endswith(" ...") or not body.endswith("."), where
        assert not re.match(r"[A-Z][a-z]", body) or body.startswith(NAMES), where
