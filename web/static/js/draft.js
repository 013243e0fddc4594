// @ts-check
// The policy draft of a person in this tab: it outlives a session that ended, a server that was away, a page that was
// closed. It remembers which revision it was written against, so that it replaces no later one unseen.
import { timeOfDay } from "./moments.js";

/** @typedef {{text: string, reason: string, expected: string, at: number, sent?: boolean, former?: Draft}} Draft */

/** Keep what is written, and offer what was kept when it is another text. @param {HTMLElement} form */
export function keepDraft(form) {
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.querySelector(`[name=${name}]`));
  const [text, reason, expected] = ["text", "reason", "expected"].map(field);
  const note = /** @type {HTMLElement} */ (document.querySelector("[data-draft]"));
  const kept = read();
  if (kept?.sent) write({ ...kept, sent: false });
  const offers = [kept, kept?.former].filter((draft) => draft && draft.text !== text.value);

  function offer() {
    note.hidden = !offers[0];
    if (offers[0]) /** @type {HTMLElement} */ (note.querySelector("[data-written]")).textContent = timeOfDay(offers[0].at);
  }

  /** What is offered and not decided on yet stays beside what is written now. @param {boolean} sent */
  function save(sent) {
    write({ text: text.value, reason: reason.value, expected: expected.value, at: Date.now(), sent, former: offers[0] ?? undefined });
  }

  note.querySelector("[data-take]")?.addEventListener("click", () => {
    const taken = /** @type {Draft} */ (offers.shift());
    text.value = taken.text;
    reason.value = taken.reason;
    expected.value = taken.expected;
    for (const place of form.querySelectorAll("[data-based]")) place.textContent = taken.expected;
    offer();
    text.dispatchEvent(new Event("input", { bubbles: true }));
    text.focus();
  });
  note.querySelector("[data-forget]")?.addEventListener("click", () => {
    offers.shift();
    offer();
    if (text.value !== text.defaultValue) save(false);
    else if (offers[0]) write(offers[0]);
    else forget();
  });
  form.addEventListener("input", () => save(false));
  form.addEventListener("submit", () => save(true));
  offer();
}

/** The page says that a revision is applied: if it is what was sent from here, it is no draft any more. */
export function forgetApplied() {
  const kept = read();
  if (!kept?.sent) return;
  if (kept.former) write(kept.former);
  else forget();
}

/** Nothing is left for whoever signs in next. @param {HTMLElement} form */
export function forgetAtSignOut(form) {
  form.addEventListener("submit", forget);
}

function key() {
  return `policy-draft:${document.querySelector("[data-user]")?.getAttribute("data-user") ?? ""}`;
}

function forget() {
  try {
    sessionStorage.removeItem(key());
  } catch {
    // Nothing was kept.
  }
}

/** @param {Draft} draft */
function write(draft) {
  try {
    sessionStorage.setItem(key(), JSON.stringify(draft));
  } catch {
    // The browser keeps nothing, or no more: the page itself warns before the text is lost.
  }
}

/** @returns {Draft|null} */
function read() {
  try {
    return JSON.parse(sessionStorage.getItem(key()) ?? "null");
  } catch {
    return null;
  }
}
