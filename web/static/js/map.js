// @ts-check
// The map: workloads in their groups, edges by verdict and volume, stable between visits.
import { colour, openPanel, chosenTime } from "./dom.js";

/** @type {Record<string, string>} */
const COLOURS = { allowed: "allowed-fill", denied: "denied-fill", "staged-denied": "staged-fill", unknown: "unknown-fill", quarantined: "quarantined-fill" };
const COLLAPSE_ABOVE = 150;

/** @param {HTMLElement} place */
export function startMap(place) {
  const given = JSON.parse(document.getElementById("map-data")?.textContent ?? "{}");
  const key = `map:${new URLSearchParams(location.search).get("group") ?? "network"}`;
  const grouped = given.grouped || given.nodes.length > COLLAPSE_ABOVE;
  const elements = grouped ? groupElements(given) : workloadElements(given);
  const kept = positions(key);
  const placed = elements.filter((item) => item.group === "nodes" && !item.data.compound).every((item) => kept[item.data.id]);
  for (const item of elements) if (kept[item.data.id] && item.group === "nodes" && !item.data.compound) item.position = kept[item.data.id];
  // What was there before stays where it was; only what is new is given a place.
  const fixed = elements.filter((item) => item.position).map((item) => ({ nodeId: item.data.id, position: { ...item.position } }));
  const cytoscape = /** @type {any} */ (window).cytoscape;
  const map = cytoscape({ container: place, elements, style: style(), layout: { name: "preset" }, minZoom: 0.1, maxZoom: 3 });
  /** @type {any} */ (place).map = map;
  if (placed) map.fit(undefined, 32);
  else
    map
      .layout({ name: "fcose", quality: "proof", randomize: fixed.length === 0, fixedNodeConstraint: fixed, animate: false, padding: 32, nodeSeparation: 140, idealEdgeLength: 130, nodeRepulsion: 9000, nodeDimensionsIncludeLabels: true, packComponents: true })
      .run();
  // Where nodes stand in groups the layout takes fixed places as wishes only.
  for (const { nodeId, position } of fixed) map.getElementById(nodeId).position({ ...position });
  keep(map, key);
  map.on("dragfree", () => keep(map, key));
  const edges = () => map.elements("node, edge");
  map.on("mouseover", "node, edge", (/** @type {any} */ event) => {
    const near = event.target.isNode() ? event.target.closedNeighborhood() : event.target.union(event.target.connectedNodes());
    edges().difference(near.union(near.parents())).addClass("faint");
  });
  map.on("mouseout", "node, edge", () => edges().removeClass("faint"));
  map.on("tap", "edge", (/** @type {any} */ event) => openEdge(event.target.id()));
  map.on("tap", "node", (/** @type {any} */ event) => {
    const node = event.target;
    if (!node.data("compound") && !grouped && node.data("kind") !== "outside") location.href = `/workloads/${encodeURIComponent(node.id())}?${chosenTime()}`;
  });
  document.addEventListener("rf:theme", () => map.style(style()));
  new ResizeObserver(() => map.resize()).observe(place);
}

/** @param {string} id */
function openEdge(id) {
  const url = new URL(location.href);
  url.searchParams.set("edge", id);
  history.pushState({}, "", url);
  openPanel(`/map/edge${url.search}`);
}

/** @param {any} given @returns {any[]} */
function workloadElements(given) {
  const groups = [...new Set(given.nodes.map((/** @type {any} */ node) => node.group).filter(Boolean))];
  return [
    ...groups.map((name) => ({ group: "nodes", data: { id: `group:${name}`, name, compound: true } })),
    ...given.nodes.map((/** @type {any} */ node) => ({ group: "nodes", data: { ...node, parent: node.group ? `group:${node.group}` : undefined } })),
    ...given.edges.map((/** @type {any} */ edge) => ({ group: "edges", data: { ...edge, width: width(edge.bytes) } })),
  ];
}

/** One node for each group, edges summed. @param {any} given @returns {any[]} */
function groupElements(given) {
  const home = new Map(given.nodes.map((/** @type {any} */ node) => [node.id, `group:${node.group || node.name}`]));
  const names = new Map();
  for (const node of given.nodes) names.set(home.get(node.id), (names.get(home.get(node.id)) ?? 0) + 1);
  /** @type {Map<string, any>} */
  const edges = new Map();
  for (const edge of given.edges) {
    const [source, target] = [home.get(edge.source), home.get(edge.target)];
    if (source === target) continue;
    const id = `${source}>${target}`;
    const sum = edges.get(id) ?? { id, source, target, shown: "allowed", bytes: 0 };
    sum.bytes += edge.bytes;
    if (edge.shown === "denied" || (edge.shown === "staged-denied" && sum.shown !== "denied")) sum.shown = edge.shown;
    edges.set(id, sum);
  }
  return [
    ...[...names].map(([id, count]) => ({ group: "nodes", data: { id, name: `${id.slice(6)} (${count})`, kind: "group" } })),
    ...[...edges.values()].map((edge) => ({ group: "edges", data: { ...edge, width: width(edge.bytes) } })),
  ];
}

/** @param {number} bytes */
function width(bytes) {
  return 1 + Math.min(5, Math.log10(1 + bytes / 1024));
}

function style() {
  const [ink, soft, line, page, raised] = ["ink", "ink-2", "line-strong", "page", "sunken"].map(colour);
  const held = colour("quarantined-fill");
  /** @type {any[]} */
  const rules = [
    { selector: "node", style: { label: "data(name)", width: 22, height: 22, "background-color": page, "border-width": 2, "border-color": soft, color: ink, "font-size": 12, "text-valign": "bottom", "text-margin-y": 4, "text-background-color": raised, "text-background-opacity": 0.85, "text-background-padding": "2px", "text-max-width": "140px", "text-wrap": "ellipsis" } },
    { selector: "node[kind = 'outside'], node[kind = 'external']", style: { shape: "diamond", "border-style": "dashed" } },
    { selector: "node[kind = 'host']", style: { shape: "rectangle" } },
    { selector: "node[kind = 'group']", style: { shape: "round-rectangle", width: 44, height: 32 } },
    { selector: "node[?quarantined]", style: { shape: "octagon", "border-color": held, "border-width": 4 } },
    { selector: "node[?compound]", style: { shape: "round-rectangle", "background-color": page, "background-opacity": 0.6, "border-width": 1, "border-color": line, "text-valign": "top", "text-margin-y": -4, color: soft, "font-size": 11, "text-max-width": "400px", padding: "20px", "text-background-opacity": 0 } },
    { selector: "edge", style: { width: "data(width)", "curve-style": "bezier", "target-arrow-shape": "triangle", "arrow-scale": 0.9, opacity: 0.9 } },
    { selector: "edge[shown = 'denied']", style: { "line-style": "dashed", "target-arrow-shape": "tee", "z-index": 9 } },
    { selector: "edge[shown = 'staged-denied']", style: { "line-style": "dotted" } },
    { selector: "edge[change = 'new']", style: { label: "new", "font-size": 10, color: ink, "text-background-color": raised, "text-background-opacity": 1 } },
    { selector: "edge[change = 'gone']", style: { opacity: 0.3, label: "gone", "font-size": 10, color: soft } },
    { selector: ".faint", style: { opacity: 0.15 } },
  ];
  for (const [shown, token] of Object.entries(COLOURS)) {
    rules.push({ selector: `edge[shown = '${shown}']`, style: { "line-color": colour(token), "target-arrow-color": colour(token) } });
  }
  return rules;
}

/** @param {string} key @returns {Record<string, {x: number, y: number}>} */
function positions(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {any} map @param {string} key */
function keep(map, key) {
  /** @type {Record<string, {x: number, y: number}>} */
  const found = {};
  for (const node of map.nodes(":childless")) found[node.id()] = node.position();
  try {
    localStorage.setItem(key, JSON.stringify(found));
  } catch {
    // The browser keeps nothing: the map is laid out anew next time.
  }
}
