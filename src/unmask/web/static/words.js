// The languages of the page: every text stands in en.json, de.json and ko.json under the same names.

const LANGUAGES = ["en", "de", "ko"];
let words = {};
let language = "en";

function preferred() {
  const asked = [localStorage.getItem("language"), ...navigator.languages.map((name) => name.slice(0, 2))];
  return asked.find((name) => LANGUAGES.includes(name)) ?? "en";
}

/** Load a language, the user's own where none is named, and put the words of the page's own markup into it. */
export async function speak(name = preferred()) {
  words = await (await fetch(`/static/${name}.json`)).json();
  language = name;
  document.documentElement.lang = name;
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of document.querySelectorAll("[data-hint]")) node.placeholder = say(node.dataset.hint);
  return name;
}

/** Remember a language for the next visit. */
export function choose(name) {
  localStorage.setItem("language", name);
  return speak(name);
}

/** Return a probability with two digits that never claims certainty. */
export function probability(value) {
  if (value >= 0.995) return "> 0.99";
  return value < 0.005 ? "< 0.01" : value.toFixed(2);
}

/** Return a time as the report writes it: 3.5 s, 2:05, 1:02:05. */
export function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1).replace(/\.0$/, "")} s`;
  const all = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Return a date and time in the user's own way of writing them. */
export const moment = (text) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

/** Return a length of a file. */
export function size(bytes) {
  const [number, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : bytes < 1e9 ? [bytes / 1e6, "megabyte"] : [bytes / 1e9, "gigabyte"];
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: 1 }).format(number);
}

// How the values of a text are written, by their names.
const PROBABILITIES = ["probability", "passage_probability", "highest"];
const THRESHOLDS = ["real_below", "fake_above"];
const COUNTS = ["frames", "people", "faces", "models"];

function written(name, values) {
  if (name === "when") {
    const [start, end] = [values.start_seconds, values.end_seconds];
    if (start === null || start === undefined) return null;
    return start.toFixed(1) === end.toFixed(1)
      ? fill(words.phrases.at, { start: start.toFixed(1) })
      : fill(words.phrases.from_to, { start: start.toFixed(1), end: end.toFixed(1) });
  }
  const value = values[name];
  if (value === null || value === undefined) return null;
  if (PROBABILITIES.includes(name)) return probability(value);
  if (THRESHOLDS.includes(name)) return value.toFixed(2);
  if (COUNTS.includes(name)) return fill(words.phrases[value === 1 ? `${name}.one` : name], { n: value });
  if (name === "region") return words.regions[value] ?? value;
  return typeof value === "number" && name.endsWith("_seconds") ? value.toFixed(1) : String(value);
}

/** Fill the {places} of a text; what stands in [brackets] is left out where it has nothing to say. */
function fill(text, values) {
  const places = (part) => part.replace(/\{(\w+)\}/g, (_, name) => written(name, values) ?? "");
  const told = (part) => [...part.matchAll(/\{(\w+)\}/g)].every(([, name]) => written(name, values) !== null);
  return places(text.replace(/\[([^\]]*)\]/g, (_, part) => (told(part) ? part : "")));
}

/** Return a text of the page. */
export const say = (name, values = {}) => fill(words.page[name] ?? name, values);

/** Return the word for a label, a state or a status. */
export const word = (name) => words.words[name] ?? name;

/** Return a reason in the user's language: by its code where it has one, else the sentence, which is English. */
export function reason(sentence, known) {
  const text = words.reasons?.[known?.code];
  return text === undefined ? sentence : fill(text, known.values);
}
