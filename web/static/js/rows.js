// @ts-check
// Tables by keyboard and click: up, down, Enter; a flow opens in the panel beside the list.
import { openPanel } from "./dom.js";

/** @param {HTMLElement} table */
export function startRows(table) {
  table.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (/** @type {MouseEvent} */ (event).ctrlKey || /** @type {MouseEvent} */ (event).metaKey) return;
    const row = /** @type {HTMLElement|null} */ (target.closest("tbody tr"));
    const other = target.closest("a:not([data-open]), button, summary, input");
    if (!row || other || String(getSelection()) !== "") return;
    event.preventDefault();
    openRow(row);
  });
}

/** Once for a page: its tables come and go. */
export function startRowKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const focus = /** @type {HTMLElement} */ (document.activeElement);
    const table = focus.closest("[data-rows]") ?? [...document.querySelectorAll('[data-rows=""]')].find((item) => item.checkVisibility());
    if (!table) return;
    if (focus.matches("input, textarea, select, summary, button") || document.querySelector("dialog[open]")) return;
    const rows = /** @type {HTMLElement[]} */ ([...table.querySelectorAll("tbody tr:not(.older)")]);
    const at = rows.findIndex((row) => row.contains(focus));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))];
      if (!next) return;
      event.preventDefault();
      next.tabIndex = 0;
      next.focus();
    } else if (event.key === "Enter" && at >= 0 && focus === rows[at]) {
      openRow(rows[at]);
    }
  });
}

/** @param {HTMLElement} row */
function openRow(row) {
  const beside = /** @type {HTMLElement|null} */ (row.querySelector("a[hx-get]"));
  const flow = row.dataset.flow;
  if (!beside && !flow) {
    if (row.dataset.href) location.href = row.dataset.href;
    return;
  }
  for (const other of document.querySelectorAll('tr[aria-selected="true"]')) other.removeAttribute("aria-selected");
  row.setAttribute("aria-selected", "true");
  if (beside) beside.click();
  else openFlow(/** @type {string} */ (flow));
}

/** @param {string} id */
function openFlow(id) {
  const url = new URL(location.href);
  url.searchParams.set("flow", id);
  history.pushState({}, "", url);
  openPanel(`/flows/panel/${encodeURIComponent(id)}${url.search}`);
}
