// Nodes and requests: the small tools of the page. Text is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Return a new element; attributes that are null are left out, and those named on... are listeners. */
export const make = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/** Return a new element of SVG. */
export const draw = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

/** What the service answered instead of what was asked for. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function problemOf(status, text) {
  try {
    return new Problem(status, JSON.parse(text).detail);
  } catch {
    return new Problem(status, `HTTP ${status}`);
  }
}

/** Send a request and return what its JSON says, null where there is none; throw a Problem where it is refused. */
export async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const text = await answer.text();
  if (!answer.ok) throw problemOf(answer.status, text);
  return text ? JSON.parse(text) : null;
}

/** Send a file; `onShare` is told how much of it has left, 0 to 1. Return the job. */
export function upload(file, onShare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onShare(event.loaded / event.total));
    request.addEventListener("error", () => reject(new Problem(0, "")));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemOf(request.status, request.responseText));
    });
    request.open("POST", "/api/jobs");
    request.send(form);
  });
}

/** Tell a screen reader. */
export function announce(text) {
  byId("live").textContent = text;
}
