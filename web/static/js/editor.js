// @ts-check
// The policy editor: line numbers, problems in the margin, tab, and a word of warning before the draft is lost.

import { keepDraft } from "./draft.js";

/** @param {HTMLElement} form */
export function startEditor(form) {
  const text = /** @type {HTMLTextAreaElement} */ (form.querySelector("textarea[name=text]"));
  const gutter = /** @type {HTMLElement} */ (form.querySelector(".gutter"));
  const original = text.defaultValue;
  let leaving = false;

  function number() {
    const bad = new Map(
      [...document.querySelectorAll("#check [data-line]")].map((item) => [Number(item.getAttribute("data-line")), item.textContent?.trim() ?? ""]),
    );
    const count = text.value.split("\n").length;
    gutter.replaceChildren(
      ...Array.from({ length: count }, (_, index) => {
        const line = document.createElement("div");
        line.textContent = String(index + 1);
        const problem = bad.get(index + 1);
        if (problem) {
          line.className = "bad";
          line.title = problem;
        }
        return line;
      }),
    );
    gutter.scrollTop = text.scrollTop;
  }

  text.addEventListener("input", number);
  text.addEventListener("scroll", () => (gutter.scrollTop = text.scrollTop));
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey || event.ctrlKey) return;
    event.preventDefault();
    text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });
  form.addEventListener("click", (event) => {
    const line = /** @type {HTMLElement} */ (event.target).closest("[data-goto]")?.getAttribute("data-goto");
    if (!line) return;
    event.preventDefault();
    goto(text, Number(line));
  });
  form.addEventListener("submit", () => (leaving = true));
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && text.isConnected && text.value !== original) event.preventDefault();
  });
  document.body.addEventListener("htmx:afterSwap", number);
  keepDraft(form);
  number();
}

/** @param {HTMLTextAreaElement} text @param {number} line */
function goto(text, line) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, item) => sum + item.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  text.scrollTop = Math.max(0, (line - 8) * 18.75);
}
