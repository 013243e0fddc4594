// @ts-check
// Parts of a page that follow the state: they are fetched again when the server says something changed.
import { say } from "./dom.js";
import { follow } from "./stream.js";

export function startUpdates() {
  for (const place of document.querySelectorAll("[data-refresh-every]")) {
    setTimeout(() => refresh(place), Number(place.getAttribute("data-refresh-every")) * 1000);
  }
  setInterval(countDown, 1000);
  followChanges();
}

/** One stream per page tells which topics changed; what shows them is fetched again. */
function followChanges() {
  if (!document.querySelector("[data-follow]")) return;
  const change = (/** @type {MessageEvent} */ event) => {
    const topics = JSON.parse(event.data);
    for (const place of document.querySelectorAll("[data-follow]")) {
      const follows = (place.getAttribute("data-follow") ?? "").split(" ");
      if (topics.some((/** @type {string} */ topic) => follows.includes(topic))) refresh(place);
    }
  };
  const newest = document.querySelector("[data-updates]")?.getAttribute("data-updates") ?? "";
  follow("/changes", { change }, tellState, newest);
}

/** Say in the header that the page does not follow what changes; nothing while it does. @param {string} state */
function tellState(state) {
  const place = document.querySelector("[data-updates]");
  if (!(place instanceof HTMLElement)) return;
  place.hidden = state === "live";
  place.textContent = state === "live" ? "" : state;
}

/** Replace one section of the page by its newest version, which may have an address of its own. @param {Element} place */
async function refresh(place) {
  const response = await fetch(place.getAttribute("data-refresh-from") ?? location.href);
  if (!response.ok) return say("The page could not be refreshed");
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  const name = place.getAttribute("data-refresh") ?? "";
  const fresh = page.querySelector(`[data-refresh="${CSS.escape(name)}"]`);
  if (!fresh) return;
  place.replaceWith(fresh);
  fresh.parentElement?.dispatchEvent(new Event("htmx:load", { bubbles: true }));
  const again = fresh.getAttribute("data-refresh-every");
  if (again) setTimeout(() => refresh(fresh), Number(again) * 1000);
}

function countDown() {
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.round((Date.parse(place.getAttribute("data-until") ?? "") - Date.now()) / 1000);
    place.textContent = seconds > 0 ? `in ${words(seconds)}` : "now";
  }
}

/** @param {number} seconds */
function words(seconds) {
  const parts = [];
  let rest = seconds;
  for (const [name, size] of /** @type {Array<[string, number]>} */ ([["d", 86400], ["h", 3600], ["m", 60], ["s", 1]])) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}
