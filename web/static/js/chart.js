// @ts-check
// The histogram by verdict: stacked bars, gaps hatched, a brush that sets the time range.
import { address, colour } from "./dom.js";
import { zoneOfPage } from "./moments.js";

const ORDER = ["allowed", "unknown", "staged_denied", "denied"];
/** @type {Record<string, string>} */
const FILLS = { allowed: "allowed-fill", unknown: "unknown-fill", staged_denied: "staged-fill", denied: "denied-fill" };

/** @param {HTMLElement} place */
export function startChart(place) {
  const bars = JSON.parse(place.dataset.bars ?? "{}");
  /** @type {any} */
  let chart = null;
  const draw = () => {
    if (chart) chart.destroy();
    chart = build(place, bars);
  };
  draw();
  document.addEventListener("rf:theme", () => place.isConnected && draw());
  new ResizeObserver(() => chart && place.clientWidth !== chart.width && chart.setSize({ width: place.clientWidth, height: chart.height })).observe(place);
}

/** @param {HTMLElement} place @param {any} bars */
function build(place, bars) {
  const uPlot = /** @type {any} */ (window).uPlot;
  const zone = zoneOfPage();
  // Each series is drawn from zero to the sum of itself and those below it, the highest first.
  const sums = bars.times.map(() => 0);
  const stacked = ORDER.map((name) => bars.series[name].map((/** @type {number} */ count, /** @type {number} */ at) => (sums[at] += count) || null));
  const ink = colour("ink-2");
  const line = colour("line");
  const shape = uPlot.paths.bars({ size: [0.9, 60], align: 1 });
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, size: 4 }, font: "12px system-ui, sans-serif" };
  const options = {
    width: place.clientWidth,
    height: Number(place.dataset.height),
    tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
    legend: { show: false },
    scales: { x: { time: true, range: () => [bars.start, bars.end] }, y: { range: (/** @type {any} */ _u, /** @type {number} */ _low, /** @type {number} */ high) => [0, Math.max(4, high * 1.05)] } },
    axes: [
      { ...axis, values: TIMES },
      { ...axis, size: 52, label: "flows", labelSize: 16, labelGap: 0, labelFont: "12px system-ui, sans-serif", values: (/** @type {any} */ _u, /** @type {number[]} */ marks) => marks.map((mark) => (Number.isInteger(mark) ? mark.toLocaleString("en") : "")) },
    ],
    series: [{}, ...ORDER.map((name) => ({ label: name, fill: colour(FILLS[name]), width: 0, paths: shape, points: { show: false } })).reverse()],
    hooks: {
      draw: [(/** @type {any} */ u) => hatch(u, bars.gaps)],
      setSelect: [(/** @type {any} */ u) => brush(u)],
    },
  };
  return new uPlot(options, [bars.times, ...stacked.reverse()], place);
}

// 24-hour clock, with the date where the day changes.
const TIMES = [
  [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
  [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
];

/** @param {any} u @param {Array<[number, number]>} gaps */
function hatch(u, gaps) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("ink-3");
  ctx.lineWidth = devicePixelRatio;
  for (const [start, end] of gaps) {
    const left = Math.max(bbox.left, u.valToPos(start, "x", true));
    const right = Math.min(bbox.left + bbox.width, Math.max(u.valToPos(end, "x", true), left + 4));
    if (right <= left) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.globalAlpha = 0.8;
    ctx.beginPath();
    const step = 7 * devicePixelRatio;
    for (let x = left - bbox.height; x < right; x += step) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

/** @param {any} u */
function brush(u) {
  const { left, width } = u.select;
  if (width < 4) return;
  const from = Math.floor(u.posToVal(left, "x"));
  const to = Math.max(from + 1, Math.ceil(u.posToVal(left + width, "x")));
  location.href = address({ from: String(from), to: String(to), range: null, cursor: null, flow: null });
}
