// One verdict: the video with the boxes over it, its timeline, the reasons, the analyst's own verdict, and the report.

import { ask, byId, draw, make } from "./dom.js";
import { clock, probability, reason, say, word } from "./words.js";

const REPORT_WIDTH = 600; // of a plot in the report, in its own units
const REACH_SECONDS = 1.5; // a box is drawn between two sightings of a person that are no further apart
let close = () => {};

/** Leave the verdict that is shown. */
export function closeVerdict() {
  close();
  close = () => {};
  openVerdict.onJob = undefined;
  byId("verdict").replaceChildren();
}

/** Show one job; `tools` are those of the list: remove, progressOf, changed. */
export async function openVerdict(id, tools) {
  const job = await ask("GET", `/api/jobs/${id}`);
  document.title = `${job.name} – unmask`;
  openVerdict.onJob = (told) => {
    if (told.id !== id || told.state === job.state) return;
    closeVerdict();
    openVerdict(id, tools);
  };
  const head = make(
    "div",
    { class: "head" },
    make("a", { href: "#/", class: "back" }, `← ${say("history")}`),
    make("h1", { id: "verdict-name", class: "clip-name" }, job.name),
    make("button", { type: "button", class: "quiet", onclick: () => tools.remove(job) }, say("delete")),
  );
  if (job.state !== "done" && job.state !== "failed") {
    byId("verdict").replaceChildren(head, make("div", { class: "panel", "data-id": id }, make("p", {}, word(job.state)), tools.progressOf(job)));
    return;
  }
  const row = job.has_result ? await ask("GET", `/api/jobs/${id}/verdict`) : null;
  const player = row?.media ? makePlayer(job, row) : null;
  const report = row ? makeReport(job, player) : null;
  byId("verdict").replaceChildren(
    head,
    make(
      "div",
      { class: report ? "beside" : "" },
      make("div", { class: "left" }, answer(job, row), player?.node, reviewOf(job, tools), downloads(job)),
      report,
    ),
  );
  close = () => player?.stop();
}

function answer(job, row) {
  const said = row ? row.reasons.map((sentence, place) => reason(sentence, row.reason_codes?.[place])) : [job.reason].filter(Boolean);
  return make(
    "div",
    { class: `answer ${job.label ?? "none"}` },
    make("p", { class: "label" }, word(job.label ?? job.status), job.fake_probability !== null && make("span", { class: "number" }, ` · ${say("fake_probability")} ${probability(job.fake_probability)}`)),
    said.map((text) => make("p", {}, text)),
    row?.warnings.length > 0 && make("details", {}, make("summary", {}, say("limits")), row.warnings.map((text) => make("p", { class: "small", lang: "en" }, text))),
  );
}

// The analyst's own verdict

function reviewOf(job, tools) {
  const option = (value) =>
    make("label", { class: "choice" }, make("input", { type: "radio", name: "own", value, checked: (job.review.label ?? "") === value }), word(value || "open"));
  const note = make("textarea", { id: "note", rows: 2, maxlength: 10000 });
  note.value = job.review.note;
  const told = make("span", { class: "small", role: "status" });
  const form = make(
    "form",
    { class: "panel review" },
    make("fieldset", {}, make("legend", {}, say("your_verdict")), ["", "fake", "inconclusive", "real"].map(option)),
    make("label", { for: "note" }, say("note")),
    note,
    make("p", { class: "actions" }, make("button", { class: "first" }, say("save")), told),
  );
  form.addEventListener("input", () => (told.textContent = say("not_saved")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      tools.changed(await ask("PUT", `/api/jobs/${job.id}/review`, { label: form.elements.own.value || null, note: note.value }));
      told.textContent = say("saved");
    } catch (problem) {
      told.textContent = problem.message || say("no_answer");
    }
  });
  return form;
}

function downloads(job) {
  const link = (path, name) => make("li", {}, make("a", { href: `/api/jobs/${job.id}/${path}`, download: true }, say(name)));
  return make(
    "ul",
    { class: "downloads small", "aria-label": say("save_files") },
    job.has_result && link("report?download=true", "save_report"),
    job.has_result && link("verdict", "save_json"),
    job.sha256 && link("video", "save_video"),
  );
}

// The report, which is a page of its own

function makeReport(job, player) {
  const frame = make("iframe", { src: `/api/jobs/${job.id}/report`, title: say("report_of", { name: job.name }), sandbox: "allow-same-origin", class: "report" });
  frame.addEventListener("load", () => {
    const page = frame.contentDocument;
    if (!page?.body) return;
    const fit = () => (frame.style.height = `${Math.ceil(page.documentElement.getBoundingClientRect().height) + 32}px`);
    new ResizeObserver(fit).observe(page.documentElement);
    fit();
    if (player) connect(page, player);
  });
  return frame;
}

/** Let a click on a plot, a crop or a score of the report seek. */
function connect(page, player) {
  for (const plot of page.querySelectorAll("svg:has(> .times)")) {
    plot.style.cursor = "pointer";
    plot.addEventListener("click", (event) => {
      const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;
      player.seek((Math.min(Math.max(x, 0), REPORT_WIDTH) / REPORT_WIDTH) * player.duration);
    });
  }
  for (const item of page.querySelectorAll(".strip li, .scores li")) {
    const seconds = parseFloat(item.textContent);
    if (Number.isNaN(seconds)) continue;
    item.style.cursor = "pointer";
    item.addEventListener("click", () => player.seek(seconds));
  }
}

// The player: video, boxes, timeline

function makePlayer(job, row) {
  const duration = Math.max(row.media.duration_seconds, 1e-6);
  const boxes = draw("svg", { class: "boxes", viewBox: `0 0 ${row.media.width} ${row.media.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const stage = make("div", { class: "stage" });
  const told = make("p", { class: "small", role: "status", hidden: true });
  const film = row.media.is_picture
    ? make("img", { src: `/api/jobs/${job.id}/video`, alt: job.name })
    : make("video", { src: `/api/jobs/${job.id}/video`, controls: true, playsinline: true, preload: "auto", "aria-label": job.name });
  stage.append(film, boxes);
  const player = { duration, node: null, time: 0, seek: null, stop: null };
  const timeline = row.media.is_picture || !row.frames.length ? null : makeTimeline(row, player);
  let stills = null;
  let ticking = 0;

  const show = (seconds) => {
    player.time = seconds;
    boxes.replaceChildren(...boxesAt(row, row.media.is_picture ? null : seconds));
    timeline?.move(seconds);
  };
  const tick = () => {
    show(film.currentTime);
    ticking = film.paused || film.ended ? 0 : requestAnimationFrame(tick);
  };
  player.seek = (seconds) => {
    const time = Math.min(Math.max(seconds, 0), duration);
    if (stills) stills.show(time);
    else if (!row.media.is_picture) film.currentTime = time;
    show(time);
  };
  player.stop = () => {
    cancelAnimationFrame(ticking);
    film.removeAttribute("src"); // ends the download
    film.load?.();
  };
  const cannot = () => {
    if (stills || !film.getAttribute("src")) return;
    stills = makeStills(row);
    stage.replaceChildren(stills.node);
    told.textContent = say(stills.count ? "cannot_play" : "cannot_play_nothing", { codec: row.media.codec });
    told.hidden = false;
    stills.show(0);
  };
  film.addEventListener("error", cannot);
  film.addEventListener("loadedmetadata", () => (film.videoWidth === 0 ? cannot() : show(film.currentTime)));
  film.addEventListener("play", () => (ticking ||= requestAnimationFrame(tick)));
  for (const event of ["seeked", "timeupdate", "load"]) film.addEventListener(event, () => show(film.currentTime ?? 0));
  player.node = make("div", { class: "panel player" }, stage, told, timeline?.node, row.frames.length > 0 && make("p", { class: "small" }, say(row.media.is_picture ? "boxes_picture" : "boxes")));
  return player;
}

/** Return the boxes at a time, of all sightings where it is null. */
function boxesAt(row, seconds) {
  return row.faces.flatMap((face) => {
    const seen = row.frames.filter((frame) => frame.person === face.person);
    const sighting = seconds === null ? seen[0] : between(seen, seconds);
    if (!sighting) return [];
    const [left, top, right, bottom] = upright(sighting.xyxy_px, row);
    const size = { x: left, y: top, width: right - left, height: bottom - top };
    const letter = row.media.width / 36;
    const text = `${face.person} · ${probability(sighting.fake_probability)}`;
    return [
      draw("rect", { class: "halo", ...size }),
      draw("rect", { class: `box ${face.label}`, "data-person": face.person, ...size }),
      draw("text", { class: face.label, x: left, y: top > letter * 1.5 ? top - letter / 2 : bottom + letter * 1.1, "font-size": letter }, text),
    ];
  });
}

/** Return a person's sighting at a time: the nearest score, with the box between the two frames around it. */
function between(seen, seconds) {
  const next = seen.findIndex((frame) => frame.time_seconds >= seconds);
  const after = next < 0 ? undefined : seen[next];
  const before = next < 0 ? seen.at(-1) : (seen[next - 1] ?? after);
  if (!after || before === after) {
    const only = after ?? before;
    return only && Math.abs(only.time_seconds - seconds) < REACH_SECONDS / 3 ? only : null;
  }
  const gap = after.time_seconds - before.time_seconds;
  const share = gap > 0 ? (seconds - before.time_seconds) / gap : 0;
  const nearest = share < 0.5 ? before : after;
  if (gap > REACH_SECONDS) return Math.abs(nearest.time_seconds - seconds) < REACH_SECONDS / 3 ? nearest : null;
  return { ...nearest, xyxy_px: before.xyxy_px.map((value, place) => value + share * (after.xyxy_px[place] - value)) };
}

/** Return a box in the video as a browser shows it: the scan may have turned it, counter-clockwise. */
function upright([x1, y1, x2, y2], row) {
  const { width, height } = row.media;
  if (row.turned_degrees === 90) return [width - y2, x1, width - y1, x2];
  if (row.turned_degrees === 180) return [width - x2, height - y2, width - x1, height - y1];
  return row.turned_degrees === 270 ? [y1, height - x2, y2, height - x1] : [x1, y1, x2, y2];
}

/** Where the browser cannot play a video: the frames and crops of the report, the nearest one to the time asked for. */
function makeStills(row) {
  const found = row.pictures.flatMap(({ person, scene, strip }) => [
    ...(scene ? [{ person, time: scene.time_seconds, scene }] : []),
    ...strip.map((sighting) => ({ person, time: sighting.time_seconds, crop: sighting })),
  ]);
  const node = make("div", { class: "stills" });
  return {
    node,
    count: found.length,
    show(seconds) {
      if (!found.length) return;
      const still = found.reduce((best, each) => (Math.abs(each.time - seconds) < Math.abs(best.time - seconds) ? each : best));
      const name = say("still", { person: still.person, time: still.time.toFixed(2) });
      node.replaceChildren(make("figure", {}, still.scene ? sceneOf(still.scene, name) : make("img", { src: `data:image/jpeg;base64,${still.crop.crop_jpeg}`, alt: name }), make("figcaption", { class: "small" }, name)));
    },
  };
}

function sceneOf({ jpeg, width_px, height_px, xyxy_px: [x1, y1, x2, y2] }, name) {
  const size = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
  return draw(
    "svg",
    { viewBox: `0 0 ${width_px} ${height_px}`, role: "img", "aria-label": name },
    draw("image", { href: `data:image/jpeg;base64,${jpeg}`, width: width_px, height: height_px }),
    draw("rect", { class: "halo", ...size }),
    draw("rect", { class: "box inconclusive", ...size }),
  );
}

/** Draw the scores over time; a click or the arrow keys seek. */
function makeTimeline(row, player) {
  const { duration } = player;
  const across = (seconds) => `${(100 * Math.min(seconds / duration, 1)).toFixed(2)}%`;
  const up = (value) => `${(6 + 88 * (1 - value)).toFixed(1)}%`;
  const labels = Object.fromEntries(row.faces.map((face) => [face.person, face.label]));
  const thresholds = row.settings.thresholds ?? {};
  const level = (value, label) => value !== undefined && draw("line", { class: `level ${label}`, x1: "0", x2: "100%", y1: up(value), y2: up(value) });
  const hand = draw("line", { class: "hand", y1: "0", y2: "100%" });
  const times = [...new Set(row.frames.map((frame) => frame.time_seconds))];
  const plot = draw(
    "svg",
    { "aria-hidden": "true" },
    level(thresholds.fake_above, "fake"),
    level(thresholds.real_below, "real"),
    row.frames.map((frame) =>
      draw(
        "circle",
        { class: labels[frame.person], cx: across(frame.time_seconds), cy: up(frame.fake_probability), r: 3.5 },
        draw("title", {}, `${say("person", { person: frame.person })}: ${frame.time_seconds.toFixed(2)} s, ${probability(frame.fake_probability)}`),
      ),
    ),
    hand,
  );
  const node = make("div", { class: "timeline", id: "timeline", role: "slider", tabindex: 0, "aria-label": say("timeline"), "aria-valuemin": 0, "aria-valuemax": duration.toFixed(2) }, plot);
  const seekAt = (event) => {
    const { left, width } = node.getBoundingClientRect();
    player.seek(((event.clientX - left) / width) * duration);
  };
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    seekAt(event);
  });
  node.addEventListener("pointermove", (event) => node.hasPointerCapture(event.pointerId) && seekAt(event));
  node.addEventListener("keydown", (event) => {
    const later = times.find((time) => time > player.time + 1e-3) ?? times.at(-1);
    const earlier = times.findLast((time) => time < player.time - 1e-3) ?? times[0];
    const wanted = { ArrowRight: later, ArrowUp: later, ArrowLeft: earlier, ArrowDown: earlier, Home: 0, End: duration }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    player.seek(wanted);
  });
  return {
    node: make("div", {}, node, make("p", { class: "scale small", "aria-hidden": "true" }, make("span", {}, "0 s"), make("span", {}, say("timeline_hint")), make("span", {}, clock(duration)))),
    move(seconds) {
      hand.setAttribute("x1", across(seconds));
      hand.setAttribute("x2", across(seconds));
      const here = row.frames.filter((frame) => Math.abs(frame.time_seconds - seconds) < 0.05);
      const told = here.map((frame) => `${say("person", { person: frame.person })} ${probability(frame.fake_probability)}`);
      node.setAttribute("aria-valuenow", seconds.toFixed(2));
      node.setAttribute("aria-valuetext", [`${seconds.toFixed(2)} s`, ...told].join(", "));
    },
  };
}
