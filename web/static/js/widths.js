// @ts-check
// Columns as wide as a person makes them, by pointer or by keyboard; the browser keeps the widths by the columns' names.
const KEPT = "ringfence.flows.widths";
const LEAST = 40;
const MOST = 1200;
const STEP = 16;
const REST = 120;

/** `data-widths` names the columns in order; the last one takes what is left. @param {HTMLElement} top */
export function startWidths(top) {
  const table = /** @type {HTMLTableElement} */ (top.closest("table"));
  const heads = /** @type {HTMLElement[]} */ ([...top.querySelectorAll("th")].slice(0, -1));
  const names = (top.dataset.widths ?? "").split(",");
  const wide = matchMedia("(min-width: 721px)");
  const kept = read();
  /** @type {number[]} */
  let natural = [];
  /** @type {HTMLElement[]} */
  let grips = [];

  function begin() {
    natural = heads.map((head) => Math.round(head.getBoundingClientRect().width));
    grips = heads.map((head, at) => grip(head, at));
    draw();
  }

  /** As they were measured, but for those that a person made otherwise. */
  function draw() {
    const sized = heads.some((_, at) => names[at] in kept);
    const widths = heads.map((_, at) => kept[names[at]] ?? natural[at]);
    table.classList.toggle("sized", sized);
    table.style.setProperty("--least", `${widths.reduce((sum, width) => sum + width, REST)}px`);
    heads.forEach((head, at) => {
      head.style.width = sized ? `${widths[at]}px` : "";
      grips[at].setAttribute("aria-valuenow", String(widths[at]));
    });
  }

  /** @param {number} at @param {number|null} width null: as it was by itself */
  function set(at, width) {
    if (width === null) delete kept[names[at]];
    else kept[names[at]] = Math.round(Math.min(MOST, Math.max(LEAST, width)));
    write(kept);
    draw();
  }

  /** @param {HTMLElement} head @param {number} at */
  function grip(head, at) {
    const made = document.createElement("span");
    const title = head.textContent?.replace(/[↑↓]/g, "").trim() ?? "";
    const width = () => Number(made.getAttribute("aria-valuenow"));
    const about = { role: "separator", "aria-orientation": "vertical", "aria-label": `Width of ${title}`, "aria-valuemin": LEAST, "aria-valuemax": MOST, tabindex: 0 };
    for (const [name, value] of Object.entries(about)) made.setAttribute(name, String(value));
    made.className = "grip";
    made.title = "Drag, or arrow keys; double click or Enter: as it was";
    made.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      made.focus();
      drag(made, event, width(), (wanted) => set(at, wanted));
    });
    made.addEventListener("dblclick", () => set(at, null));
    made.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (step === undefined && event.key !== "Enter") return;
      event.preventDefault();
      set(at, step === undefined ? null : width() + step);
    });
    head.setAttribute("aria-label", title);
    head.append(made);
    return made;
  }

  /** A table that is hidden, or shown as cards, has no widths to measure. */
  const measurable = () => wide.matches && table.offsetWidth > 0;
  const later = new ResizeObserver(() => {
    if (!measurable()) return;
    later.disconnect();
    begin();
  });
  if (measurable()) begin();
  else later.observe(table);
}

/** @param {HTMLElement} made @param {PointerEvent} first @param {number} width @param {(wanted: number) => void} set */
function drag(made, first, width, set) {
  const move = (/** @type {PointerEvent} */ event) => {
    if (event.clientX !== first.clientX) set(width + event.clientX - first.clientX);
  };
  made.setPointerCapture(first.pointerId);
  made.addEventListener("pointermove", move);
  made.addEventListener("lostpointercapture", () => made.removeEventListener("pointermove", move), { once: true });
}

/** @returns {Record<string, number>} */
function read() {
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(KEPT) ?? "{}"));
    return Object.fromEntries(kept.filter(([, width]) => Number(width) >= LEAST && Number(width) <= MOST));
  } catch {
    return {};
  }
}

/** @param {Record<string, number>} widths */
function write(widths) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(widths));
  } catch {
    // A browser that keeps nothing has them until the next page.
  }
}
