// @ts-check
// Brings pages to life: each part is looked for in the page, and again in every fragment that arrives.
import { startBar } from "./bar.js";
import { startChart } from "./chart.js";
import { forgetApplied, forgetAtSignOut } from "./draft.js";
import { startEditor } from "./editor.js";
import { startFailures } from "./failures.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startMap } from "./map.js";
import { startMenus } from "./menus.js";
import { startMoments } from "./moments.js";
import { startRowKeys, startRows } from "./rows.js";
import { startSettings } from "./settings.js";
import { startUpdates } from "./updates.js";
import { startWaiting } from "./waiting.js";
import { startWidths } from "./widths.js";

/** @type {Array<[string, (element: HTMLElement) => void]>} */
const PARTS = [
  ["[data-applied]", forgetApplied],
  ['form[action="/logout"]', forgetAtSignOut],
  ["[data-bar]", startBar],
  ["[data-chart]", startChart],
  ["[data-editor]", startEditor],
  ["[data-live]", startLive],
  ["[data-map]", startMap],
  ["[data-rows]", startRows],
  ["[data-widths]", startWidths],
];
const started = new WeakSet();

/** @param {ParentNode} root */
function start(root) {
  for (const [selector, begin] of PARTS) {
    for (const element of root.querySelectorAll(selector)) {
      if (started.has(element)) continue;
      started.add(element);
      begin(/** @type {HTMLElement} */ (element));
    }
  }
}

startSettings();
startMenus();
startKeys();
startRowKeys();
startFailures();
startWaiting();
startUpdates();
startMoments();
start(document);
document.body.addEventListener("htmx:load", (event) => start(/** @type {ParentNode} */ (event.target)));
// Tests, and anybody who drives the page, see here that keys and buttons answer.
document.documentElement.dataset.alive = "yes";
