"""A demo in the browser: drop a clip, see the report.

    python examples/06_gradio.py

Needs: pip install gradio
"""

import gradio

import unmask

scanner = unmask.Scanner()


def judge(clip: str) -> tuple[dict[str, float], str]:
    """Return the label with its probability, and the reasons."""
    verdict = scanner.scan(clip)
    p = verdict.fake_probability
    return ({} if p is None else {"fake": p, "real": 1 - p}), "\n\n".join(
        [verdict.label or verdict.status, *verdict.reasons]
    )


demo = gradio.Interface(
    judge, gradio.Video(), [gradio.Label(), gradio.Markdown()], title="unmask", flagging_mode="never"
)

if __name__ == "__main__":
    demo.launch()
