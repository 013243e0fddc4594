// @ts-check
// The filter bar: valid or not while typing, the error under its character, suggestions for fields and values.

/** @param {HTMLElement} form */
export function startBar(form) {
  const entry = /** @type {HTMLElement} */ (form.querySelector(".entry"));
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input[name=q]"));
  const pop = /** @type {HTMLElement} */ (form.querySelector(".pop"));
  const error = /** @type {HTMLElement} */ (document.getElementById("bar-error"));
  let asked = 0;
  let timer = 0;

  async function ask() {
    const mine = ++asked;
    const response = await fetch(`${form.dataset.bar}?q=${encodeURIComponent(input.value)}`);
    if (mine !== asked || !response.ok) return;
    const answer = await response.json();
    entry.dataset.valid = input.value.trim() === "" ? "" : answer.valid ? "yes" : "no";
    showError(error, input.value, answer);
    showSuggestions(answer.suggestions);
  }

  /** @param {Array<{text: string, doc: string}>} found */
  function showSuggestions(found) {
    const rows = found.filter((item) => item.text.trim() !== input.value.trim());
    pop.hidden = rows.length === 0 || document.activeElement !== input;
    pop.replaceChildren(...rows.map((item) => option(item)));
  }

  /** @param {{text: string, doc: string}} item */
  function option(item) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "option");
    button.className = "mono";
    const doc = document.createElement("span");
    doc.className = "dim";
    doc.textContent = item.doc;
    button.append(item.text, doc);
    button.addEventListener("mousedown", (event) => {
      event.preventDefault();
      take(item.text);
    });
    return button;
  }

  /** @param {string} text */
  function take(text) {
    input.value = text;
    void ask();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(ask, 120);
  });
  input.addEventListener("blur", () => (pop.hidden = true));
  input.addEventListener("keydown", (event) => {
    if (pop.hidden) return;
    const rows = [...pop.children];
    const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = (at + (event.key === "ArrowDown" ? 1 : -1) + rows.length) % rows.length;
      rows.forEach((row, index) => row.setAttribute("aria-selected", String(index === next)));
    } else if ((event.key === "Tab" || event.key === "Enter") && at >= 0) {
      event.preventDefault();
      take(/** @type {string} */ (rows[at].firstChild?.textContent ?? ""));
    }
  });
}

/** @param {HTMLElement} place @param {string} text @param {{valid: boolean, error: string, offset: number}} answer */
function showError(place, text, answer) {
  place.hidden = answer.valid;
  /** @type {HTMLElement} */ (place.querySelector(".text")).textContent = text.slice(0, answer.offset);
  /** @type {HTMLElement} */ (place.querySelector("mark")).textContent = text.slice(answer.offset, answer.offset + 1) || " ";
  /** @type {HTMLElement} */ (place.querySelector(".message")).textContent = answer.error;
}
