// @ts-check
// The map does not move by itself: what a newer one would show is said beside it.

/** @param {ParentNode} page @returns {{nodes: any[], edges: any[]}|null} */
function picture(page) {
  const text = page.querySelector("#map-data")?.textContent;
  return text ? JSON.parse(text) : null;
}

/** @param {HTMLElement} place @param {Document} page the newest one */
export function tellNews(place, page) {
  const [now, then] = [picture(page), picture(document)];
  const text = differences(then?.edges ?? [], now?.edges ?? [], now?.nodes ?? [], then?.nodes ?? []);
  const said = /** @type {HTMLElement} */ (place.querySelector("[data-said]"));
  if (said.textContent !== text) said.textContent = text;
  place.hidden = !text;
}

/** @param {any[]} then @param {any[]} now @param {any[]} nodes @param {any[]} former */
function differences(then, now, nodes, former) {
  const before = new Map(then.map((edge) => [edge.id, edge]));
  const after = new Set(now.map((edge) => edge.id));
  const held = (/** @type {any[]} */ list) => list.filter((node) => node.quarantined).map((node) => node.id).sort().join();
  const counts = [
    [now.filter((edge) => !before.has(edge.id)).length, "new"],
    [then.filter((edge) => !after.has(edge.id)).length, "gone"],
    [now.filter((edge) => before.has(edge.id) && before.get(edge.id).shown !== edge.shown).length, "with another verdict"],
  ];
  const parts = counts.filter(([count]) => count).map(([count, word]) => `${count} ${count === 1 ? "edge" : "edges"} ${word}`);
  if (held(nodes) !== held(former)) parts.push("another quarantine");
  return parts.join(", ");
}
