"""The API as docs/reference/service.md tells it."""

import csv
import io
import json

from tests.web.conftest import clip


def test_a_file_becomes_a_verdict(service):
    answer = service.upload(clip("first"), "my clip.mp4")
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert (job["name"], job["state"], job["label"]) == ("my clip.mp4", "queued", None)
    done = service.wait(job["id"])
    assert (done["state"], done["status"], done["label"], done["fake_probability"]) == ("done", "ok", "real", 0.25)
    assert (done["progress"], done["seconds_left"], done["reason"]) == (1.0, None, "The stub says so.")
    verdict = service.client.get(f"/api/jobs/{job['id']}/verdict").json()
    assert (verdict["path"], verdict["label"]) == ("my clip.mp4", "real")
    assert "my clip.mp4" in service.client.get(f"/api/jobs/{job['id']}/report").text


def test_the_same_file_answers_at_once_and_is_scanned_once(service, log):
    first = service.wait(service.upload(clip("same")).json()["id"])
    answer = service.upload(clip("same"), "another name.mp4")
    assert (answer.status_code, answer.json()) == (200, first)
    assert log().count("begin same") == 1


def test_a_video_is_given_whole_and_in_parts(service):
    job = service.upload(clip("video"), "video.mp4").json()
    url = f"/api/jobs/{job['id']}/video"
    assert service.client.get(url).content == clip("video")
    part = service.client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, clip("video")[10:20], "image/png")
    assert service.client.get(url, headers={"Range": "bytes=9999999-"}).status_code == 416


def test_history_searches_filters_sorts_and_pages(service):
    for name in ("Alpha.mp4", "beta_1.mp4", "beta%2.mp4"):
        service.wait(service.upload(clip(name), name).json()["id"])

    def names(**query):
        return [job["name"] for job in service.client.get("/api/jobs", params=query).json()["jobs"]]

    assert names(search="alpha") == ["Alpha.mp4"]
    assert names(search="BETA", sort="name") == ["beta%2.mp4", "beta_1.mp4"]
    assert names(search="a_1") == ["beta_1.mp4"]
    assert names(search="a%2") == ["beta%2.mp4"]
    assert names(search="beta", sort="-name", per_page=1, page=2) == ["beta%2.mp4"]
    assert names(search="beta", label="fake") == []
    assert len(names(search="beta", label=["fake", "real"], state="done")) == 2
    assert service.client.get("/api/jobs", params={"search": "beta"}).json()["total"] == 2
    assert service.client.get("/api/jobs", params={"sort": "id; drop table jobs"}).status_code == 422


def test_an_analyst_writes_a_verdict_beside_the_machines(service):
    job = service.wait(service.upload(clip("review"), "review.mp4").json()["id"])
    url = f"/api/jobs/{job['id']}/review"
    written = service.client.put(url, json={"label": "fake", "note": "=the mouth"}).json()
    assert written["label"] == "real"
    assert written["review"]["label"] == "fake"
    assert written["review"]["reviewed_at"]
    found = service.client.get("/api/jobs", params={"label": "fake", "search": "the mouth"}).json()
    assert [one["id"] for one in found["jobs"]] == [job["id"]]
    table = list(
        csv.DictReader(io.StringIO(service.client.get("/api/export.csv", params={"search": "review.mp4"}).text))
    )
    assert [(row["label"], row["analyst_label"], row["analyst_note"]) for row in table] == [
        ("real", "fake", "'=the mouth")
    ]
    assert service.client.put(url, json={"label": None}).json()["review"]["note"] == ""
    assert service.client.put(url, json={"label": "perhaps"}).status_code == 422
    assert service.client.put(url, json={"label": None, "note": "a\0b"}).status_code == 422


def test_delete_leaves_nothing(service):
    job = service.wait(service.upload(clip("delete")).json()["id"])
    assert [name for name in service.files() if name.startswith(job["sha256"])] != []
    assert service.client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert [name for name in service.files() if name.startswith(job["sha256"])] == []
    for path in ("", "/verdict", "/report", "/video", "/thumbnail", "/events"):
        assert service.client.get(f"/api/jobs/{job['id']}{path}").status_code == 404
    assert service.client.delete(f"/api/jobs/{job['id']}").status_code == 404


def test_a_running_job_can_be_deleted(service):
    job = service.upload(clip("wait=0.3 gone")).json()
    assert service.client.get(f"/api/jobs/{job['id']}/verdict").status_code == 409
    service.client.delete(f"/api/jobs/{job['id']}")
    service.wait(service.upload(clip("wait=0.5 after")).json()["id"])
    assert [name for name in service.files() if name.startswith(job["sha256"])] == []


def test_what_fails_is_told_and_tried_anew(service):
    job = service.wait(service.upload(clip("fail"), "unnamed.mp4").json()["id"])
    assert (job["state"], job["status"], job["has_result"]) == ("failed", "internal_error", True)
    assert job["reason"] == "unmask failed, not the file: RuntimeError: the stub fails at unnamed.mp4"
    again = service.upload(clip("fail"))
    assert again.status_code == 202
    assert again.json()["id"] != job["id"]


def test_events_tell_of_all_jobs(service):
    with service.client.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        job = service.upload(clip("events")).json()
        states, name = [], ""
        for line in lines:
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if line.startswith("data: ") and name == "job" and (told := json.loads(line[6:]))["id"] == job["id"]:
                states.append(told["state"])
                if told["state"] == "done":
                    break
    order = ["queued", "running", "done"]  # who is told late hears of the state by then, and never of an older one
    assert states == sorted(states, key=order.index)
    assert states[-2:] == ["running", "done"]
