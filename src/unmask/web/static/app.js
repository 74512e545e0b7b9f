// The page: hand files in, follow them, keep the history. docs/reference/service.md tells what the service offers.

import { announce, ask, byId, make, Problem, upload } from "./dom.js";
import { closeVerdict, openVerdict } from "./verdict.js";
import { choose, clock, moment, probability, say, size, speak, word } from "./words.js";

const PAGE = 50;
const jobs = new Map(); // id -> {job, row}, in the order of the list
let shown = 1; // pages of the history that are shown
let about = null;

// What went wrong

function tell(problem) {
  if (problem instanceof Problem && problem.status === 401) return signIn();
  byId("problem").textContent = problem instanceof Problem ? problem.message || say("no_answer") : String(problem);
  byId("problem").hidden = false;
}

const quiet = () => (byId("problem").hidden = true);

async function tried(work) {
  try {
    return await work();
  } catch (problem) {
    tell(problem);
    return undefined;
  }
}

// Sign in, where the service wants a token

function signIn() {
  if (!byId("sign-in").open) byId("sign-in").showModal();
}

async function useToken(token) {
  await ask("POST", "/api/session", { token });
  location.reload();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await useToken(byId("token").value);
  } catch (problem) {
    byId("token-problem").textContent = problem.message;
    byId("token-problem").hidden = false;
  }
});

// Hand in

async function handIn(files) {
  quiet();
  for (const file of files) {
    const bar = make("progress", { max: 1, value: 0, "aria-label": say("sending", { name: file.name }) });
    const row = make("li", { class: "job" }, make("span", { class: "thumb" }), make("div", { class: "what" }, make("span", { class: "clip-name" }, file.name), bar));
    byId("jobs").prepend(row);
    try {
      if (about && file.size > about.max_upload_bytes) throw new Problem(413, say("too_large", { name: file.name, most: size(about.max_upload_bytes) }));
      const job = await upload(file, (share) => (bar.value = share));
      put(job, true);
      announce(say("handed_in", { name: job.name }));
    } catch (problem) {
      tell(problem instanceof Problem && problem.status !== 401 ? new Problem(problem.status, `${file.name}: ${problem.message || say("no_answer")}`) : problem);
    } finally {
      row.remove();
    }
  }
}

byId("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  handIn(files);
});

for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") {
      const files = [...event.dataTransfer.files];
      location.hash = "#/";
      handIn(files);
    }
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget === null && byId("drop").classList.remove("over"));

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) handIn([...event.clipboardData.files]);
});

byId("fetch").addEventListener("submit", (event) => {
  event.preventDefault();
  quiet();
  const url = byId("address").value.trim();
  if (!/^https:\/\/\S+$/.test(url)) return tell(say("https_only"));
  tried(async () => {
    const job = await ask("POST", "/api/jobs", { url });
    byId("address").value = "";
    put(job, true);
    announce(say("handed_in", { name: job.name }));
  });
});

// The list

function verdictOf(job) {
  if (job.state === "fetching" || job.state === "queued") return make("span", { class: "badge" }, word(job.state));
  if (job.state === "running") return make("span", { class: "badge" }, word("running"));
  const name = job.label ?? job.status;
  return make("span", { class: `badge ${job.label ?? "none"}` }, word(name), job.fake_probability !== null && make("b", {}, ` ${probability(job.fake_probability)}`));
}

export function progressOf(job) {
  if (job.state === "done" || job.state === "failed") return null;
  const bar = make("progress", { max: 1, value: job.state === "running" ? (job.progress ?? 0) : null, "aria-label": say("progress_of", { name: job.name }) });
  return make("div", { class: "progress" }, bar, make("span", { class: "small", "data-part": "left" }, leftOf(job)));
}

function leftOf(job) {
  if (job.state === "queued") return job.position ? say("position", { position: job.position }) : "";
  if (job.state !== "running") return "";
  return job.seconds_left === null ? `${Math.round((job.progress ?? 0) * 100)} %` : say("left", { time: clock(Math.max(1, Math.ceil(job.seconds_left))) });
}

function rowOf(job) {
  const finished = job.state === "done" || job.state === "failed";
  const facts = [
    finished && job.people > 0 && say("people", { people: job.people }),
    job.duration_seconds !== null && clock(job.duration_seconds),
    job.size_bytes !== null && size(job.size_bytes),
    moment(job.created_at),
  ];
  const picture = job.has_result && job.people > 0 && make("img", { src: `/api/jobs/${job.id}/thumbnail`, alt: "", loading: "lazy" });
  return make(
    "li",
    { class: "job", "data-id": job.id },
    make("span", { class: "thumb" }, picture),
    make(
      "div",
      { class: "what" },
      make("a", { class: "clip-name", href: `#/jobs/${job.id}`, "data-part": "open" }, job.name),
      make(
        "p",
        { class: "words" },
        verdictOf(job),
        job.review.label && make("span", { class: `badge own ${job.review.label}` }, say("you", { label: word(job.review.label) })),
      ),
      progressOf(job),
      job.review.note && make("p", { class: "small note" }, job.review.note),
      make("p", { class: "small facts" }, facts.filter(Boolean).join(" · ")),
    ),
    make("button", { class: "quiet", type: "button", "data-part": "delete", "aria-label": say("delete_name", { name: job.name }), onclick: () => remove(job) }, say("delete")),
  );
}

/** Put a job into the list, or its new state; a new one comes first where `first` says so. */
function put(job, first = false) {
  const known = jobs.get(job.id);
  if (!known && !first) return;
  if (known && JSON.stringify(known.job) === JSON.stringify(job)) return;
  const row = rowOf(job);
  if (known) {
    const part = known.row.contains(document.activeElement) && document.activeElement.dataset.part;
    known.row.replaceWith(row);
    if (part) row.querySelector(`[data-part=${part}]`)?.focus();
  } else {
    byId("jobs").prepend(row);
    byId("count").textContent = "";
  }
  jobs.set(job.id, { job, row });
}

function drop(id) {
  jobs.get(id)?.row.remove();
  jobs.delete(id);
}

function query(more = {}) {
  const asked = new URLSearchParams(more);
  if (byId("search").value) asked.set("search", byId("search").value);
  if (byId("label").value) asked.set("label", byId("label").value);
  return asked;
}

let asking = 0;

async function refresh() {
  const turn = ++asking;
  const found = await tried(async () => {
    const pages = [];
    for (let page = 1; page <= shown; page += 1) pages.push(await ask("GET", `/api/jobs?${query({ sort: byId("sort").value, page, per_page: PAGE })}`));
    return pages;
  });
  if (!found || turn !== asking) return; // a later question was asked meanwhile
  const listed = found.flatMap((page) => page.jobs);
  const total = found[0].total;
  jobs.clear();
  const rows = listed.map((job) => {
    const row = rowOf(job);
    jobs.set(job.id, { job, row });
    return row;
  });
  byId("jobs").replaceChildren(...rows);
  byId("more").hidden = listed.length >= total;
  byId("count").textContent = total ? say(total === 1 ? "one_found" : "found", { total }) : say(query().size ? "nothing_found" : "nothing_yet");
  byId("export").href = `/api/export.csv?${query()}`;
}

let waiting = 0;

function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 250);
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", () => {
  shown = 1;
  refreshSoon();
});
byId("more").addEventListener("click", () => {
  shown += 1;
  refresh();
});

// Delete

function remove(job) {
  const dialog = byId("delete");
  byId("delete-name").textContent = job.name;
  dialog.returnValue = "no";
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue !== "yes") return;
      tried(async () => {
        await ask("DELETE", `/api/jobs/${job.id}`);
        announce(say("deleted", { name: job.name }));
        location.hash = "#/";
        refresh();
        byId("main").focus();
      });
    },
    { once: true },
  );
  dialog.showModal();
}

// What the service tells meanwhile

function listen() {
  const events = new EventSource("/api/events");
  events.addEventListener("open", refresh);
  events.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (jobs.has(job.id)) put(job);
    else refreshSoon();
    openVerdict.onJob?.(job);
    if (job.state === "done") announce(say("is_done", { name: job.name, label: word(job.label ?? job.status) }));
    if (job.state === "failed") announce(say("has_failed", { name: job.name, status: word(job.status) }));
  });
  events.addEventListener("progress", (event) => {
    const told = JSON.parse(event.data);
    const known = jobs.get(told.id);
    if (!known) return;
    known.job = { ...known.job, ...told };
    for (const place of [known.row, byId("verdict").querySelector(`[data-id="${told.id}"]`)]) {
      if (!place?.querySelector("progress")) continue;
      place.querySelector("progress").value = told.progress ?? 0;
      place.querySelector("[data-part=left]").textContent = leftOf(known.job);
    }
  });
  events.addEventListener("deleted", (event) => {
    const { id } = JSON.parse(event.data);
    drop(id);
    if (location.hash === `#/jobs/${id}`) location.hash = "#/";
  });
}

// Where in the page the reader is

async function route() {
  quiet();
  const id = /^#\/jobs\/([\w-]{22})$/.exec(location.hash)?.[1];
  byId("home").hidden = id !== undefined;
  byId("verdict").hidden = id === undefined;
  closeVerdict();
  document.title = "unmask";
  if (id) await tried(() => openVerdict(id, { remove, progressOf, changed: put }));
}

byId("language").addEventListener("change", async (event) => {
  await choose(event.target.value);
  refresh();
  route();
});

async function start() {
  byId("language").value = await speak();
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", "/");
    if (await tried(() => useToken(decodeURIComponent(token)).then(() => true))) return;
  }
  window.addEventListener("hashchange", async () => {
    await route();
    byId("main").focus();
  });
  about = (await tried(() => ask("GET", "/api/about"))) ?? null;
  if (!about) return route();
  byId("promise").textContent = say(about.keep_days ? "promise_days" : "promise", { most: size(about.max_upload_bytes), days: about.keep_days });
  listen();
  await route();
}

start();
