// @ts-check
// Parts of a page that follow the state: they are fetched again when the server says that something changed.
import { htmx } from "./dom.js";
import { remember, replace } from "./keep.js";
import { inZone, readClock } from "./moments.js";
import { tellNews } from "./news.js";
import { follow } from "./stream.js";

const LEAST_PAUSE = 500;
/** A page that is slow to make is asked for the less often: at most this part of the time is spent on it. */
const SHARE = 0.1;
const PATIENCE = 30_000;
const FIRST_RETRY = 2_000;
const LAST_RETRY = 30_000;
const SIGNED_OUT = "not live: signed out, reload to sign in";

/** The names of the parts that show something old. @type {Set<string>} */
const old = new Set();
/** When each part was fetched. @type {Map<string, number>} */
const fetched = new Map();
let newest = Date.now();
let notBefore = 0;
let retryAfter = 0;
let timer = 0;
let busy = false;
let stream = "live";

export function startUpdates() {
  const places = parts();
  if (!places.length) return;
  for (const place of places) remember(place);
  const flows = places.some((place) => topicsOf(place).includes("flows")) ? "?flows=1" : "";
  const known = document.querySelector("[data-updates]")?.getAttribute("data-updates") ?? "";
  follow(`/changes${flows}`, { change }, tellStream, known);
  document.addEventListener("visibilitychange", plan);
  for (const name of ["pointerout", "focusout"]) document.addEventListener(name, () => old.size && setTimeout(plan, 50));
}

function parts() {
  return [...document.querySelectorAll("[data-follow]")];
}

/** @param {Element} place */
function topicsOf(place) {
  return (place.getAttribute("data-follow") ?? "").split(" ");
}

/** @param {Element} place */
function nameOf(place) {
  return place.getAttribute("data-refresh") ?? "";
}

/** The address that a part has of its own; null: it is in the page itself, whatever that is called by now. @param {Element} place */
function sourceOf(place) {
  return place.getAttribute("data-refresh-from");
}

/** Whether somebody is in the midst of a list, which must not move away under them. @param {Element} place */
function held(place) {
  return place.hasAttribute("data-hold") && (place.matches(":hover") || place.contains(document.activeElement));
}

/** @param {MessageEvent} event */
function change(event) {
  /** @type {string[]} */
  const topics = JSON.parse(event.data);
  for (const place of parts()) if (topicsOf(place).some((topic) => topics.includes(topic))) old.add(nameOf(place));
  plan();
}

/** Fetch when the first part that is old may be fetched. */
function plan() {
  clearTimeout(timer);
  tell();
  const due = parts().filter((place) => old.has(nameOf(place)) && !held(place)).map(dueAt);
  if (busy || document.hidden || !due.length) return;
  timer = window.setTimeout(refresh, Math.max(0, notBefore - Date.now(), Math.min(...due) - Date.now()));
}

/** @param {Element} place */
function dueAt(place) {
  const pace = Number(place.getAttribute("data-pace") ?? 0) * 1000;
  return pace ? (fetched.get(nameOf(place)) ?? newest) + pace : 0;
}

async function refresh() {
  busy = true;
  const began = Date.now();
  const known = new Set(old);
  old.clear();
  try {
    const due = parts().filter((place) => known.has(nameOf(place)));
    for (const source of new Set(due.map(sourceOf))) show(await fetchPage(source ?? location.href), source);
    retryAfter = 0;
    newest = Date.now();
    notBefore = newest + Math.max(LEAST_PAUSE, (newest - began) / SHARE);
  } catch {
    for (const name of known) old.add(name);
    retryAfter = Math.min(LAST_RETRY, retryAfter * 2 || FIRST_RETRY);
    notBefore = Date.now() + retryAfter;
  }
  busy = false;
  plan();
}

/** @param {string} address */
async function fetchPage(address) {
  const answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE) });
  if (answer.redirected && new URL(answer.url).pathname !== new URL(address, location.href).pathname) {
    stream = SIGNED_OUT;
    throw new Error(stream);
  }
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Every part of a source by its newest version: figures of one page belong together. @param {Document} page @param {string|null} source */
function show(page, source) {
  readClock(page);
  for (const place of parts().filter((part) => sourceOf(part) === source)) {
    const name = nameOf(place);
    const fresh = page.querySelector(`[data-refresh="${CSS.escape(name)}"]`);
    if (held(place)) {
      old.add(name);
      continue;
    }
    if (place.hasAttribute("data-news")) tellNews(/** @type {HTMLElement} */ (place), page);
    else if (fresh && replace(place, fresh)) enliven(fresh);
    fetched.set(name, Date.now());
  }
}

/** As if it had come by htmx. @param {Element} fresh */
function enliven(fresh) {
  htmx().process(fresh);
  fresh.parentElement?.dispatchEvent(new Event("htmx:load", { bubbles: true }));
}

/** @param {string} state */
function tellStream(state) {
  stream = state;
  tell();
}

/** Say in the header why something on the page may be old; nothing while all of it is new. */
function tell() {
  const place = document.querySelector("[data-updates]");
  if (!(place instanceof HTMLElement)) return;
  const since = `last updated ${inZone(newest)}`;
  const waits = parts().some((part) => old.has(nameOf(part)) && held(part));
  const text = stream !== "live" ? `${stream}; ${since}` : retryAfter ? `${since}, trying again` : waits ? "paused while you are in the list" : "";
  place.classList.toggle("s-warn", stream !== "live" || retryAfter > 0);
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}
