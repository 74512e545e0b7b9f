"""The table of jobs in both databases: a queue in which nothing is lost or done twice, and a history."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from unmask.errors import UsageError
from unmask.web import store as stores
from unmask.web.database import Postgres, open_database
from unmask.web.store import Search, Store

pytestmark = pytest.mark.slow

OK = {"status": "ok", "label": "fake", "fake_probability": 0.9, "reason": "r", "people": 1, "duration_seconds": 2.0}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    store = Store(open_database(url, tmp_path))
    store._database.write("DELETE FROM jobs")
    yield store
    store.close()


def add(store, name, settings="s", limit=100, url=None):
    return store.submit(name, settings, limit, sha256=None if url else name * 4, size_bytes=None if url else 7, url=url)


def test_a_job_goes_its_way(store):
    job = add(store, "a")
    assert (job.state, job.sha256, job.attempts, job.review_note) == ("queued", "aaaa", 0, "")
    leased = store.lease("queued")
    assert (leased.id, leased.state, leased.attempts) == (job.id, "running", 1)
    assert store.lease("queued") is None
    done = store.finish(job.id, OK)
    assert (done.state, done.label, done.fake_probability, done.people) == ("done", "fake", 0.9, 1)
    assert store.get(job.id) == done
    assert store.finish(job.id, OK | {"label": "real"}) is None  # done is done
    assert store.release(job.id) is None
    assert store.get(job.id).label == "fake"


def test_first_come_first_served(store):
    jobs = [add(store, name) for name in "abc"]
    assert store.waiting() == [job.id for job in jobs]
    assert [store.lease("queued").id for _ in jobs] == [job.id for job in jobs]


def test_no_job_is_leased_twice_at_a_time(store):
    jobs = {add(store, f"n{i}").id for i in range(30)}
    with ThreadPoolExecutor(8) as pool:
        leased = list(pool.map(lambda _: store.lease("queued"), range(40)))
    ids = [job.id for job in leased if job]
    assert len(ids) == 30
    assert set(ids) == jobs


def test_a_lease_that_is_not_renewed_runs_out(store, monkeypatch):
    kept, lost = add(store, "kept"), add(store, "lost")
    monkeypatch.setattr(stores, "LEASE_SECONDS", 0.05)
    store.lease("queued"), store.lease("queued")
    time.sleep(0.1)
    monkeypatch.setattr(stores, "LEASE_SECONDS", 30)
    store.renew([kept.id])
    again = store.lease("queued")
    assert (again.id, again.attempts) == (lost.id, 2)
    assert store.lease("queued") is None


def test_a_job_is_put_back(store):
    job = add(store, "a")
    store.lease("queued")
    assert store.release(job.id).state == "queued"
    assert store.lease("queued").attempts == 2


def test_a_new_server_takes_over(store):
    running, fetched, done = add(store, "a"), add(store, "b", url="https://b"), add(store, "c", settings="old")
    store.lease("queued"), store.lease("fetching")
    store.finish(done.id, OK)
    store.take_over("new")
    assert [(store.get(job.id).state, store.get(job.id).settings_hash) for job in (running, fetched, done)] == [
        ("queued", "new"), ("fetching", "new"), ("done", "old"),
    ]  # fmt: skip
    assert (store.lease("queued").id, store.lease("fetching").id) == (running.id, fetched.id)


def test_the_queue_is_bounded(store):
    first, _ = add(store, "a", limit=2), add(store, "b", limit=2)
    assert add(store, "c", limit=2) is None
    store.finish(first.id, OK)
    assert add(store, "c", limit=2) is not None


def test_the_same_content_and_settings_are_known(store):
    job = add(store, "a")
    assert store.find_same("s", sha256="aaaa") == job
    assert store.find_same("t", sha256="aaaa") is None
    assert store.find_same("s", sha256="bbbb") is None
    store.finish(job.id, OK | {"status": "crashed", "label": None, "fake_probability": None})
    assert store.find_same("s", sha256="aaaa") is None  # tried anew
    twin = add(store, "a")
    assert store.find_answer(twin) is None
    store.finish(twin.id, OK)
    third = add(store, "a")
    assert store.find_answer(third).id == twin.id


def test_an_address_is_fetched_and_then_known_by_its_content(store):
    job = add(store, "a", url="https://x/a.mp4")
    assert store.find_same("s", url="https://x/a.mp4") == job
    assert store.lease("queued") is None
    assert store.lease("fetching").id == job.id
    queued = store.fetched(job.id, "aaaa", 5)
    assert (queued.state, queued.sha256, queued.size_bytes, queued.attempts) == ("queued", "aaaa", 5, 0)
    assert store.fetched(job.id, "aaaa", 5) is None
    assert store.find_same("s", sha256="aaaa").id == job.id


def test_search(store):
    for name, text in (("Ä 100%.mp4", "note"), ("b_c.mp4", "Ünder"), ("bxc.mp4", "")):
        store.review(add(store, name).id, None, text)

    def found(**search):
        return [job.name for job in store.list_jobs(Search(**search), 10)[0]]

    assert found(text="100%") == ["Ä 100%.mp4"]
    assert found(text="B_C") == ["b_c.mp4"]
    assert found(text="NOTE") == ["Ä 100%.mp4"]
    assert found(text="'; DROP TABLE jobs; --") == []
    assert found(sort="name")[:1] == ["b_c.mp4"] or found(sort="name")[:1] == ["Ä 100%.mp4"]  # by the database's order
    assert found(states=("done",)) == []


def test_sorting_puts_what_has_no_value_last(store):
    for name, probability in (("a", 0.5), ("b", None), ("c", 0.9)):
        job = add(store, name)
        label = None if probability is None else "real"
        status = "no_face" if probability is None else "ok"
        store.finish(job.id, OK | {"fake_probability": probability, "label": label, "status": status})
    order = {sort: [job.name for job in store.list_jobs(Search(sort=sort), 10)[0]] for sort in stores.SORTS}
    assert order["fake_probability"] == ["a", "c", "b"]
    assert order["-fake_probability"] == ["c", "a", "b"]
    assert order["name"] == ["a", "b", "c"]
    assert order["-created_at"] == ["c", "b", "a"]
    page, total = store.list_jobs(Search(sort="name"), 1, 1)
    assert ([job.name for job in page], total) == (["b"], 3)


def test_the_analysts_label_counts_in_a_search(store):
    job = add(store, "a")
    store.finish(job.id, OK)
    assert len(store.list_jobs(Search(labels=("fake",)), 10)[0]) == 1
    store.review(job.id, "real", "seen on air")
    assert store.list_jobs(Search(labels=("fake",)), 10) == ([], 0)
    reviewed = store.list_jobs(Search(labels=("real", "inconclusive")), 10)[0][0]
    assert (reviewed.label, reviewed.review_label, reviewed.review_note) == ("fake", "real", "seen on air")


def test_delete_and_use(store):
    one, other = add(store, "a"), add(store, "a", settings="t")
    assert store.keys() == {("aaaa", "s"), ("aaaa", "t")}
    assert store.delete(one.id) == one
    assert store.delete(one.id) is None
    assert store.is_used("aaaa")
    assert not store.is_used("aaaa", "s")
    assert store.is_used("aaaa", "t")
    store.delete(other.id)
    assert not store.is_used("aaaa")
    assert store.counts() == {}


def test_what_is_old_is_found(store):
    old, new = add(store, "a"), add(store, "b")
    store.finish(old.id, OK)
    between = time.time()
    store.finish(new.id, OK)
    add(store, "c")
    assert [job.id for job in store.finished_before(between)] == [old.id]


def test_a_database_that_is_not_there():
    with pytest.raises(UsageError, match="the database cannot be reached"):
        Postgres("postgresql:///x?host=/nowhere&connect_timeout=1")


def test_a_connection_that_breaks_is_made_again(postgres, tmp_path):
    store = Store(open_database(postgres, tmp_path))
    add(store, "survives")
    import psycopg

    with pytest.raises(psycopg.OperationalError):
        store._database.read("SELECT pg_terminate_backend(pg_backend_pid())")
    assert store.list_jobs(Search(text="survives"), 1)[1] == 1
    store.close()
