// @ts-check
// The live tail: new rows on top as they come; it holds still while the pointer is on the table, and says how many wait.
import { icon, say } from "./dom.js";

const KEPT = 500;

/** @param {HTMLElement} button */
export function startLive(button) {
  /** @type {EventSource|null} */
  let source = null;
  /** @type {HTMLTableRowElement[]} */
  let waiting = [];
  const state = /** @type {HTMLElement} */ (document.querySelector("[data-live-state]"));
  const table = /** @type {HTMLTableElement|null} */ (document.querySelector("table.flows"));

  const held = () => Boolean(table?.matches(":hover"));

  function settle() {
    if (held()) {
      state.textContent = waiting.length ? `paused: ${waiting.length} ${waiting.length === 1 ? "row waits" : "rows wait"}` : "paused";
      return;
    }
    const rows = waiting;
    waiting = [];
    for (const row of rows) put(row);
    state.textContent = source ? "live" : "";
  }

  /** @param {HTMLTableRowElement} row */
  function put(row) {
    const body = table?.tBodies[0];
    if (!body) return location.reload();
    const known = body.querySelector(`tr[data-flow="${CSS.escape(row.dataset.flow ?? "")}"]`);
    if (known) {
      if (known.getAttribute("aria-selected")) row.setAttribute("aria-selected", "true");
      known.replaceWith(row);
    } else {
      row.classList.add("fresh");
      body.prepend(row);
    }
    while (body.rows.length > KEPT) body.deleteRow(-1);
  }

  function open() {
    source = new EventSource(button.dataset.live ?? "");
    source.addEventListener("hello", () => settle());
    source.addEventListener("flows", (event) => {
      const holder = document.createElement("template");
      holder.innerHTML = /** @type {MessageEvent} */ (event).data;
      for (const row of holder.content.querySelectorAll("tr[data-flow]")) {
        waiting = waiting.filter((item) => item.dataset.flow !== /** @type {HTMLElement} */ (row).dataset.flow);
        waiting.push(/** @type {HTMLTableRowElement} */ (row));
      }
      waiting = waiting.slice(-KEPT);
      settle();
    });
    source.addEventListener("full", (event) => {
      close();
      state.textContent = /** @type {MessageEvent} */ (event).data;
    });
    source.onerror = () => (state.textContent = "connection lost, trying again");
    show(true);
  }

  function close() {
    source?.close();
    source = null;
    waiting = [];
    state.textContent = "";
    show(false);
  }

  /** @param {boolean} on */
  function show(on) {
    button.setAttribute("aria-pressed", String(on));
    button.replaceChildren(icon(on ? "pause" : "play"), on ? "Stop" : "Live");
    say(on ? "Live" : "Live stopped");
    const url = new URL(location.href);
    if (on) url.searchParams.set("live", "1");
    else url.searchParams.delete("live");
    history.replaceState({}, "", url);
  }

  button.addEventListener("click", () => (source ? close() : open()));
  table?.addEventListener("mouseleave", () => setTimeout(settle, 50));
  table?.addEventListener("mouseenter", settle);
  if (new URLSearchParams(location.search).get("live") === "1") open();
}
