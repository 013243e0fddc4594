// @ts-check
// The keyboard: / filter, g and a letter for pages, arrows in tables, x quarantine, t map or table, ? help, Esc closes.
const TYPING = "input, textarea, select, [contenteditable]";
let waiting = false;

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return closeOne(event);
    if (/** @type {HTMLElement} */ (event.target).matches?.(TYPING)) return;
    if (waiting) {
      waiting = false;
      const place = document.querySelector(`.rail [data-key="${CSS.escape(event.key)}"]`);
      if (place) {
        event.preventDefault();
        /** @type {HTMLElement} */ (place).click();
      }
      return;
    }
    press(event);
  });
  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest?.("[data-act]");
    const act = button?.getAttribute("data-act");
    if (act === "help") openKeys();
    if (act === "close" && close(/** @type {HTMLElement} */ (button))) event.preventDefault();
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    const target = /** @type {any} */ (event).detail.target;
    if (target.id === "dialog" && !target.open) target.showModal();
  });
}

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.key === "g") {
    waiting = true;
    setTimeout(() => (waiting = false), 1500);
  } else if (event.key === "/") {
    const input = document.querySelector(".bar input[name=q], [data-slash]");
    if (!input) return;
    event.preventDefault();
    /** @type {HTMLInputElement} */ (input).focus();
    /** @type {HTMLInputElement} */ (input).select();
  } else if (event.key === "?") {
    openKeys();
  } else if (event.key === "x") {
    const button = document.querySelector('main [data-key="x"], #panel [data-quarantine]');
    if (button) /** @type {HTMLElement} */ (button).click();
  } else if (event.key === "t") {
    const other = document.querySelector('main a[data-key="t"]:not([aria-current])');
    if (other) /** @type {HTMLElement} */ (other).click();
  }
}

function openKeys() {
  const keys = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
  if (keys && !keys.open) keys.showModal();
}

/** @param {KeyboardEvent} event */
function closeOne(event) {
  const pop = [...document.querySelectorAll(".pop")].find((item) => !item.hasAttribute("hidden"));
  if (pop) return pop.setAttribute("hidden", "");
  if (document.querySelector("dialog[open]")) return;
  const coming = document.querySelector("dialog[aria-busy]");
  if (coming) {
    coming.dispatchEvent(new Event("rf:closed"));
    return;
  }
  const menu = document.querySelector("details.menu[open]");
  if (menu) return menu.removeAttribute("open");
  if (closePanel()) return event.preventDefault();
  /** @type {HTMLElement} */ (document.activeElement)?.blur?.();
}

/** @param {HTMLElement} button */
function close(button) {
  const dialog = button.closest("dialog");
  if (!dialog) return closePanel();
  dialog.close();
  return true;
}

function closePanel() {
  const panel = document.getElementById("panel");
  if (!panel || !(panel.firstElementChild || panel.hasAttribute("aria-busy"))) return false;
  panel.replaceChildren();
  panel.dispatchEvent(new Event("rf:closed"));
  for (const row of document.querySelectorAll('tr[aria-selected="true"]')) row.removeAttribute("aria-selected");
  const url = new URL(location.href);
  for (const name of ["flow", "edge"]) url.searchParams.delete(name);
  history.pushState({}, "", url);
  window.dispatchEvent(new Event("resize"));
  return true;
}
