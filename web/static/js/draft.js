// @ts-check
// The policy draft of this tab: it outlives a session that ended, a server that was away, and a page that was closed.
import { timeOfDay } from "./moments.js";

const KEY = "policy-draft";

/** Keep what is written, and offer what was kept when it is another text. @param {HTMLElement} form */
export function keepDraft(form) {
  const text = /** @type {HTMLTextAreaElement} */ (form.querySelector("[name=text]"));
  const reason = /** @type {HTMLInputElement} */ (form.querySelector("[name=reason]"));
  const note = /** @type {HTMLElement} */ (document.querySelector("[data-draft]"));
  const kept = read();
  if (kept && kept.text !== text.value) {
    /** @type {HTMLElement} */ (note.querySelector("[data-written]")).textContent = timeOfDay(kept.at);
    note.hidden = false;
  }
  note.querySelector("[data-take]")?.addEventListener("click", () => {
    text.value = kept.text;
    reason.value = kept.reason;
    note.hidden = true;
    text.dispatchEvent(new Event("input", { bubbles: true }));
    text.focus();
  });
  note.querySelector("[data-forget]")?.addEventListener("click", () => {
    forgetDraft();
    note.hidden = true;
  });
  form.addEventListener("input", () => write({ text: text.value, reason: reason.value, at: Date.now() }));
}

/** It was applied. */
export function forgetDraft() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

/** @param {{text: string, reason: string, at: number}} draft */
function write(draft) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // The browser keeps nothing, or no more: the page itself warns before the text is lost.
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}
