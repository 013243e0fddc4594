// @ts-check
// While an answer is on its way its place shows the shape of what will stand there; a quick answer shows nothing before.
// Where `data-stays` says so, what stands there already stays until the answer is there.
const PATIENCE = 150;

/** @type {Map<Element, XMLHttpRequest>} */
const awaited = new Map();

export function startWaiting() {
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const { target, xhr } = /** @type {any} */ (event).detail;
    const shape = /** @type {HTMLTemplateElement|null} */ (document.getElementById(`${target.id}-shape`));
    if (shape) wait(target, xhr, shape);
  });
  for (const place of document.querySelectorAll("#panel, #dialog")) {
    // Whoever closed it does not want it to open again by itself.
    for (const name of ["close", "rf:closed"]) place.addEventListener(name, () => awaited.get(place)?.abort());
  }
}

/** @param {HTMLElement} target @param {XMLHttpRequest} xhr @param {HTMLTemplateElement} shape */
function wait(target, xhr, shape) {
  awaited.set(target, xhr);
  target.setAttribute("aria-busy", "true");
  const timer = setTimeout(() => {
    if (target.hasAttribute("data-stays") && target.firstElementChild) return;
    target.replaceChildren(shape.content.cloneNode(true));
    if (target instanceof HTMLDialogElement && !target.open) target.showModal();
  }, PATIENCE);
  xhr.addEventListener("loadend", () => {
    clearTimeout(timer);
    if (awaited.get(target) !== xhr) return;
    awaited.delete(target);
    target.removeAttribute("aria-busy");
  });
}
