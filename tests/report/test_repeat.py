from unmask.report.repeat import repeat_command


def row(path="a b.mp4", models=("bundled",), **settings):
    known = {"scanner": "Scanner", "sampling": "time", "frames": 32, "precision": ["fp32"], "adaptive": None} | settings
    return {"path": path, "models": [{"name": name} for name in models], "settings": known}


def test_commands():
    end = "--precision fp32 --html report.html"
    assert repeat_command(row()) == f"unmask scan 'a b.mp4' --frames 32 {end}"
    assert repeat_command(row("c.mp4", ("mine", "other"), frames=8, adaptive={"first_frames": 8})) == (
        f"unmask scan c.mp4 --model mine --model other --frames 8 --adaptive {end}"
    )
    assert repeat_command(row("c.mp4", ("a", "b"), preset="winner")) == (
        f"unmask scan c.mp4 --preset winner --frames 32 {end}"
    )
    precisions = {"a": "fp32", "b": "bf16"}
    own = row("c.mp4", ("a", "b"), preset="robustforensics", precision=precisions)
    del own["settings"]["sampling"]
    assert repeat_command(own) == ("unmask scan c.mp4 --preset robustforensics --html report.html")


def test_a_scanner_of_ones_own_has_no_command():
    assert repeat_command(row(scanner="Mine")) is None


def test_names_are_quoted_for_the_shell():
    assert "'; rm -rf ~.mp4'" in repeat_command(row("; rm -rf ~.mp4"))
