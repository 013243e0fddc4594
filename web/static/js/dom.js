// @ts-check
// Small things that every module needs.

const ICONS = new URL("../icons.svg", import.meta.url).pathname;

/** The colour of a token as the browser computed it, for canvases. @param {string} token */
export function colour(token) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** @param {string} name @param {string} value letters, digits and any of `-_+/` */
export function setCookie(name, value) {
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

/** Tell it to people who listen. @param {string} text */
export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
}

/** The library that fetches fragments. @returns {any} */
export function htmx() {
  return /** @type {any} */ (window).htmx;
}

/** Fetch a fragment into the side panel; when it fails the panel says so. @param {string} path */
export function openPanel(path) {
  htmx().ajax("GET", path, { target: "#panel", swap: "innerHTML" }).catch(() => undefined);
}

/** The address of this page with some parameters replaced; null removes one. @param {Record<string, string|null>} changes */
export function address(changes) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.pathname + url.search;
}

/** The time range and zone that were chosen for this page. @returns {URLSearchParams} */
export function chosenTime() {
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (["range", "from", "to", "tz"].includes(name)) kept.set(name, value);
  }
  return kept;
}

/** The time that this page shows, chosen or not, for a page that would choose otherwise. @returns {URLSearchParams} */
export function shownTime() {
  const kept = chosenTime();
  const usual = document.querySelector("[data-range]")?.getAttribute("data-range");
  if (usual && !kept.has("range") && !kept.has("from") && !kept.has("to")) kept.set("range", usual);
  return kept;
}

/** An icon of the sprite. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}
