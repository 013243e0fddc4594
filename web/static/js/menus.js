// @ts-check
// Every value on screen is a button: a click filters in, the menu (right-click, or the menu key) filters out, opens, copies.
import { address, icon, say, shownTime } from "./dom.js";

export function startMenus() {
  document.addEventListener("contextmenu", (event) => {
    const value = /** @type {HTMLElement} */ (event.target).closest?.("[data-field]");
    if (!value) return;
    event.preventDefault();
    open(/** @type {HTMLElement} */ (value));
  });
  document.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const copied = target.closest?.("[data-copy]")?.getAttribute("data-copy");
    if (copied) copy(copied);
    if (!target.closest?.("#pop")) document.getElementById("pop")?.setAttribute("hidden", "");
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(target)) menu.removeAttribute("open");
    }
  });
  window.addEventListener("popstate", () => location.reload());
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say("The browser did not allow copying");
  }
}

/** A value as the filter language takes it literally. @param {string} value */
export function quoted(value) {
  const plain = /^[^\s\\():<>"*{},!=&|]+$/.test(value) && !["and", "or", "not", "in"].includes(value.toLowerCase());
  return plain ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** @param {string} term */
function narrowed(term) {
  const now = new URL(location.href);
  const text = now.searchParams.get("q") ?? "";
  const whole = text ? `${/\bor\b|\|\|/i.test(text) ? `(${text})` : text} and ${term}` : term;
  if (["/flows", "/map", "/findings"].includes(now.pathname)) {
    return address({ q: whole, cursor: null, flow: null, edge: null, offset: null });
  }
  const asked = shownTime();
  asked.set("q", whole);
  return `/flows?${asked}`;
}

/** @param {HTMLElement} value */
function open(value) {
  const pop = /** @type {HTMLElement} */ (document.getElementById("pop"));
  const { field = "", value: text = "", page } = value.dataset;
  const term = `${field}: ${quoted(text)}`;
  const rows = [link("plus", "Only this", narrowed(term)), link("minus", "Not this", narrowed(`not ${term}`))];
  if (page) rows.push(link("open", "Open the workload", page));
  const button = document.createElement("button");
  button.dataset.copy = text;
  button.append(icon("copy"), "Copy");
  pop.replaceChildren(...rows, button);
  pop.hidden = false;
  const box = value.getBoundingClientRect();
  pop.style.left = `${Math.min(box.left + scrollX, scrollX + innerWidth - pop.offsetWidth - 8)}px`;
  pop.style.top = `${box.bottom + scrollY + 2}px`;
  /** @type {HTMLElement} */ (pop.firstElementChild).focus();
}

/** @param {string} name @param {string} text @param {string} href */
function link(name, text, href) {
  const made = document.createElement("a");
  made.href = href;
  made.setAttribute("role", "menuitem");
  made.append(icon(name), text);
  return made;
}
