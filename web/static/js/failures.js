// @ts-check
// A fragment that does not come: said where it would have stood, with what is kept and a way to try again.
// What a person typed is never replaced: no target of a request holds a field that is being filled in.
import { htmx } from "./dom.js";

/** What failed, by the place that waits. @type {Record<string, string>} */
const WHAT = {
  panel: "The details cannot be shown",
  dialog: "What would happen cannot be shown, and nothing was done",
  check: "The text cannot be checked; it stands as it was typed",
};
const ROWS = "More flows cannot be shown; those above stay";
const AWAY = "The server cannot be reached.";
const SLOW = "The server did not answer in time.";

export function startFailures() {
  const body = document.body;
  body.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = /** @type {any} */ (event);
    if (detail.xhr.status < 400) return;
    detail.shouldSwap = false;
    // Later the same things can go well; what was asked for in the wrong way goes wrong again.
    show(detail, answered(detail.xhr), detail.xhr.status >= 500 || detail.xhr.status === 429);
  });
  body.addEventListener("htmx:sendError", (event) => show(/** @type {any} */ (event).detail, note(AWAY), true));
  body.addEventListener("htmx:timeout", (event) => show(/** @type {any} */ (event).detail, note(SLOW), true));
  body.addEventListener("htmx:beforeRequest", (event) => {
    for (const old of /** @type {any} */ (event).detail.target.querySelectorAll("[data-failed]")) old.remove();
  });
}

/** The note that the server sent; in other words when something before it answered. @param {XMLHttpRequest} xhr */
function answered(xhr) {
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
  const found = page.querySelector("body > [data-failed]");
  return /** @type {HTMLElement} */ (found ? document.adoptNode(found) : note(`The answer was ${xhr.status}.`));
}

/** @param {string} sentence */
function note(sentence) {
  const made = copy("failed");
  const place = /** @type {HTMLElement} */ (made.querySelector("[data-sentence]"));
  place.textContent = sentence;
  return made;
}

/** @param {any} detail @param {HTMLElement} note @param {boolean} again whether trying again may help */
function show(detail, note, again) {
  const target = /** @type {HTMLElement} */ (detail.target);
  const title = /** @type {HTMLElement} */ (note.querySelector("strong"));
  title.textContent = `${target.id ? WHAT[target.id] : ROWS}.`;
  if (again) title.parentElement?.append(retry(detail));
  if (target.id === "check") target.replaceChildren(note);
  else if (target.id) target.replaceChildren(framed(target, note));
  else target.firstElementChild?.prepend(note);
  if (target instanceof HTMLDialogElement && !target.open) target.showModal();
}

/** A panel or a dialog can be closed. @param {HTMLElement} target @param {HTMLElement} note */
function framed(target, note) {
  const frame = document.createDocumentFragment();
  const head = copy(`${target.id}-head`);
  if (target.id === "dialog") head.append(note);
  frame.append(head, ...(target.id === "dialog" ? [] : [note]));
  return frame;
}

/** @param {any} detail */
function retry(detail) {
  const { requestConfig: asked, etc, target } = detail;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Try again";
  button.addEventListener("click", () => {
    const source = asked.elt.isConnected ? asked.elt : document.body;
    htmx().ajax(asked.verb, asked.path, { source, target, swap: etc?.swapOverride }).catch(() => undefined);
  });
  const line = document.createElement("p");
  line.append(button);
  return line;
}

/** @param {string} id of a template with one element @returns {HTMLElement} */
function copy(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}
