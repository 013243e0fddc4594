// @ts-check
// A part of a page is replaced by its newest version; what somebody typed there, and where they are, stays.
const CONTROLS = "input:not([type=hidden]), textarea, select";
/** Each page has a token of its own, which changes nothing of what is shown. */
const TOKEN = /(name="csrf_token" value=")[^"]*/g;

/** What the server sent for a part. @type {WeakMap<Element, string>} */
const sent = new WeakMap();

/** Remember a part as it came, before the page changes anything in it. @param {Element} place */
export function remember(place) {
  sent.set(place, source(place));
}

/** @param {Element} place @param {Element} fresh @returns {boolean} whether anything is different */
export function replace(place, fresh) {
  remember(fresh);
  if (sent.get(place) === sent.get(fresh)) return false;
  const typed = typedIn(place);
  const focus = focusIn(place);
  place.replaceWith(fresh);
  for (const put of typed) put(fresh);
  focus(fresh);
  return true;
}

/** @param {Element} place */
function source(place) {
  return place.outerHTML.replace(TOKEN, "$1");
}

/** @param {Element} place @returns {Array<(fresh: Element) => void>} */
function typedIn(place) {
  const controls = /** @type {HTMLInputElement[]} */ ([...place.querySelectorAll(CONTROLS)]);
  return controls.filter(changed).map((old) => (fresh) => {
    const made = /** @type {HTMLInputElement|null} */ (same(old, fresh));
    if (!made) return;
    if (old.matches("[type=checkbox], [type=radio]")) made.checked = old.checked;
    else made.value = old.value;
  });
}

/** @param {HTMLInputElement} control */
function changed(control) {
  if (control instanceof HTMLSelectElement) return [...control.options].some((one) => one.selected !== one.defaultSelected);
  return control.value !== control.defaultValue || control.checked !== control.defaultChecked;
}

/** @param {Element} place @returns {(fresh: Element) => void} */
function focusIn(place) {
  const old = /** @type {HTMLInputElement} */ (document.activeElement);
  if (!old || !place.contains(old)) return () => undefined;
  const writes = old.matches("textarea, input:not([type]), input[type=text], input[type=search]");
  const [start, end] = writes ? [old.selectionStart, old.selectionEnd] : [null, null];
  return (fresh) => {
    const made = /** @type {HTMLInputElement|null} */ (same(old, fresh));
    if (!made) return;
    if (old.matches("tr")) made.tabIndex = 0;
    made.focus({ preventScroll: true });
    if (start !== null) made.setSelectionRange(start, end);
  };
}

/** The element of the new version that an old one became. @param {Element} old @param {Element} fresh */
function same(old, fresh) {
  if (old.id) return fresh.querySelector(`#${CSS.escape(old.id)}`);
  const form = old.closest("form")?.getAttribute("action");
  const alike = [...fresh.querySelectorAll(old.tagName)].filter((item) => item.closest("form")?.getAttribute("action") === form);
  const marks = ["name", "value", "href", "data-href", "data-flow"].filter((name) => old.hasAttribute(name));
  return alike.find((item) => marks.every((name) => item.getAttribute(name) === old.getAttribute(name))) ?? null;
}
