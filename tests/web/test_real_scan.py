"""A real clip through the service: the verdict is that of the command line, and InVID's plug-in can read it."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from tests.web.conftest import head, raw, running
from tests.web.stub import PICTURE
from unmask import Scanner
from unmask.web.settings import ServeSettings

ROOT = Path(__file__).parents[2]
SHAPES = json.loads((Path(__file__).parent / "invid" / "shapes.json").read_text())


@pytest.fixture(scope="module")
def judged(tmp_path_factory, short_clips):
    """A service with the bundled model, and what it says of two clips: their events and their jobs."""
    options = {"frames": 8}
    settings = ServeSettings(data=tmp_path_factory.mktemp("real") / "data", scanner_options=options, workers=1)
    with running(settings) as service:
        jobs, events = {}, {}
        for name, path in short_clips.items():
            job = service.upload(path.read_bytes(), f"{name}.mp4").json()
            with service.client.stream("GET", f"/api/jobs/{job['id']}/events") as stream:
                events[name] = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
            jobs[name] = service.client.get(f"/api/jobs/{job['id']}").json()
        yield service, jobs, events


def test_the_verdict_is_that_of_a_scan(judged, short_clips):
    service, jobs, _ = judged
    scanner = Scanner(frames=8)
    schema = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
    for name, job in jobs.items():
        told = service.client.get(f"/api/jobs/{job['id']}/verdict").json()
        jsonschema.Draft202012Validator(schema).validate(told)
        expected = scanner.scan(short_clips[name]).to_dict(pictures=True)
        del told["elapsed_seconds"], told["scanned_at"]
        assert told == json.loads(json.dumps(expected)) | {"path": f"{name}.mp4"}
        assert (job["label"], job["fake_probability"]) == (told["label"], told["fake_probability"])
        assert job["people"] == len(told["faces"])
        assert job["duration_seconds"] == told["media"]["duration_seconds"]
    assert service.client.get("/api/about").json()["settings_hash"] == scanner.settings_hash


def test_progress_is_told(judged):
    _, _, events = judged
    for told in events.values():
        shares = [event["progress"] for event in told if "name" not in event]
        assert shares
        assert shares == sorted(shares)
        assert 0 < shares[0] <= shares[-1] < 1
        assert [event["state"] for event in told if "name" in event][-1] == "done"


def test_report_and_pictures(judged):
    service, jobs, _ = judged
    for name, job in jobs.items():
        report = service.client.get(f"/api/jobs/{job['id']}/report")
        assert f"unmask: {name}.mp4" in report.text
        picture = service.client.get(f"/api/jobs/{job['id']}/thumbnail")
        assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")


def shape(value):
    """Return the types of a value in the place of its values; numbers are numbers."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def test_the_plug_ins_way_through(judged, short_clips):
    """Post, ask until COMPLETED, read the report: as the plug-in does, field for field."""
    service, jobs, _ = judged
    with short_clips["blended"].open("rb") as file:
        answer = service.client.post(
            "/videos/jobs", params={"services": "deepfake_video,faceswap_fsfm,ftcn"}, files={"file": ("b.mp4", file)}
        )
    assert answer.status_code == 200
    assert SHAPES["submitted"].keys() <= answer.json().keys()
    job_id = answer.json()["id"]
    until = time.monotonic() + 60
    while (told := service.client.get(f"/videos/jobs/{job_id}").json())["status"] == "PROCESSING":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert shape(told) == shape(SHAPES["status"])
    assert told["status"] == "COMPLETED"
    report = service.client.get(f"/videos/reports/{job_id}").json()
    assert shape(report) == shape(SHAPES["report"])
    for made in report.values():
        assert made["prediction"] == jobs["blended"]["fake_probability"]
        assert made["prediction"] in [shot["prediction"] for shot in made["results"]]  # it looks for the highest shot
        assert all(isinstance(shot["shot_start"], int) for shot in made["results"])  # it makes minutes of them
        assert made["results"][0]["shot_image"].startswith("data:image/jpeg;base64,")
        assert service.client.get(made["video_path"]).content == short_clips["blended"].read_bytes()
    assert service.client.get(f"/jobs/{job_id}").json() == told
    assert service.client.get(f"/reports/{job_id}").json() == report


def test_what_the_plug_in_has_words_for(judged):
    """413 and 422 when something is handed in; a report without a prediction where no face was found."""
    service, _, _ = judged
    post = service.client.post
    assert post("/videos/jobs", files={"file": ("x.mp4", b"no media" * 500)}).status_code == 422
    assert post("/videos/jobs", params={"url": "http://example.org/x.mp4"}).status_code == 422
    assert raw(service, head(1 << 40, "/videos/jobs")).startswith(b"HTTP/1.1 413 ")
    job_id = post("/videos/jobs", files={"file": ("nobody.png", PICTURE)}).json()["id"]
    service.wait(job_id)
    assert service.client.get(f"/videos/jobs/{job_id}").json()["status"] == "COMPLETED"
    assert service.client.get(f"/videos/reports/{job_id}").json()["deepfake_video_report"]["prediction"] is None
