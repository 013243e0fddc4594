// @ts-check
// How long ago, and how long until: counted on while a page stands, by the clock of the server.

/** Milliseconds by which the server's clock is ahead of this one. */
let ahead = 0;

/** @type {Array<[string, number]>} */
const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function startMoments() {
  readClock(document);
  setInterval(count, 1000);
}

/** Take the time from a page that was just made. @param {ParentNode} page */
export function readClock(page) {
  const now = page.querySelector("[data-now]")?.getAttribute("data-now");
  if (now) ahead = Date.parse(now) - Date.now();
}

/** The zone that the page shows its times in; UTC where only the server knows that zone. */
export function zoneOfPage() {
  const timeZone = document.querySelector("[data-now]")?.getAttribute("data-in") ?? "UTC";
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone });
    return timeZone;
  } catch {
    return "UTC";
  }
}

/** The time of day in the zone of the page, or with the zone that it is in; by the server's clock. @param {number} moment of this browser's clock */
export function inZone(moment) {
  return timeOfDay(moment + ahead);
}

/** The same of a moment that the server gave. @param {number} moment */
export function timeOfDay(moment) {
  const timeZone = zoneOfPage();
  const other = timeZone === document.querySelector("[data-now]")?.getAttribute("data-in") ? "" : ` ${timeZone}`;
  return new Date(moment).toLocaleTimeString("en-GB", { timeZone }) + other;
}

function count() {
  const now = Date.now() + ahead;
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.round((Date.parse(place.getAttribute("data-until") ?? "") - now) / 1000);
    write(place, seconds > 0 ? `in ${words(seconds)}` : "now");
  }
  for (const place of document.querySelectorAll("time[data-ago]")) {
    const seconds = Math.round((now - Date.parse(place.getAttribute("datetime") ?? "")) / 1000);
    write(place, seconds >= 1 ? `${words(seconds)} ago` : seconds > -1 ? "just now" : `in ${words(-seconds)}`);
  }
}

/** @param {Element} place @param {string} text */
function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** The largest unit and the next one, as the server writes it. @param {number} seconds */
function words(seconds) {
  const counts = UNITS.map(([name, size], index) => {
    const wrap = index ? UNITS[index - 1][1] / size : Infinity;
    return { name, count: Math.floor(seconds / size) % wrap };
  });
  const first = counts.findIndex((item) => item.count);
  return counts.slice(first, first + 2).filter((item) => item.count).map((item) => `${item.count} ${item.name}`).join(" ");
}
