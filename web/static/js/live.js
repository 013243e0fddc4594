// @ts-check
// The live tail: new rows on top as they come; it holds still while the pointer is on the table, and says how many wait.
// An empty list has its table too, hidden: the first row brings it to light.
import { icon, say } from "./dom.js";
import { timeOfDay } from "./moments.js";
import { follow } from "./stream.js";

const KEPT = 500;

/** @param {HTMLElement} button */
export function startLive(button) {
  /** @type {(() => void)|null} */
  let stop = null;
  let leftOut = "";
  let missed = 0;
  /** @type {HTMLTableRowElement[]} */
  let waiting = [];
  const state = /** @type {HTMLElement} */ (document.querySelector("[data-live-state]"));
  const table = /** @type {HTMLTableElement} */ (document.querySelector("table.flows"));
  const nothing = document.querySelector("[data-nothing]");

  const held = () => table.matches(":hover");

  function settle() {
    if (held()) {
      state.textContent = waiting.length ? `paused: ${waiting.length} ${waiting.length === 1 ? "row waits" : "rows wait"}` : "paused";
      return;
    }
    const rows = waiting;
    waiting = [];
    for (const row of rows) put(row);
    if (nothing && rows.length) uncover();
    state.textContent = stop ? `live${leftOut}` : "";
  }

  /** @param {HTMLTableRowElement} row */
  function put(row) {
    const body = table.tBodies[0];
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

  /** There was nothing, so what stands in the table is all there is. */
  function uncover() {
    nothing?.remove();
    table.closest("[hidden]")?.removeAttribute("hidden");
    const count = table.tBodies[0].rows.length;
    const heading = document.querySelector("[data-total]");
    if (heading) heading.textContent = `${count} ${count === 1 ? "flow" : "flows"}`;
  }

  /** @param {MessageEvent} event */
  function take(event) {
    const holder = document.createElement("template");
    holder.innerHTML = event.data;
    for (const row of holder.content.querySelectorAll("tr[data-flow]")) {
      waiting = waiting.filter((item) => item.dataset.flow !== /** @type {HTMLElement} */ (row).dataset.flow);
      waiting.push(/** @type {HTMLTableRowElement} */ (row));
    }
    waiting = waiting.slice(-KEPT);
    settle();
  }

  /** More came than is sent at once, or the page was away for too long: the reload has it. @param {MessageEvent} event */
  function miss(event) {
    const told = JSON.parse(event.data);
    missed += told.flows ?? 0;
    leftOut = told.flows === null ? `; what came before ${timeOfDay(Date.parse(told.end))} is left out, reload to see it` : `; ${missed} left out, reload to see them`;
    settle();
  }

  function open() {
    stop = follow(button.dataset.live ?? "", { flows: take, left_out: miss }, (told, over) => {
      if (over) close();
      if (told === "live") settle();
      else state.textContent = told;
    });
    show(true);
  }

  function close() {
    stop?.();
    stop = null;
    waiting = [];
    missed = 0;
    leftOut = "";
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

  button.addEventListener("click", () => (stop ? close() : open()));
  table.addEventListener("mouseleave", () => setTimeout(settle, 50));
  table.addEventListener("mouseenter", settle);
  if (new URLSearchParams(location.search).get("live") === "1") open();
}
