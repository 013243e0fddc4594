// @ts-check
// Theme, folded rail, time zone, the columns of the table: kept in cookies or in the address.
import { csrfToken, say, setCookie } from "./dom.js";

const THEMES = ["system", "light", "dark"];

export function startSettings() {
  document.addEventListener("click", (event) => {
    const act = /** @type {HTMLElement} */ (event.target).closest?.("[data-act]")?.getAttribute("data-act");
    if (act === "theme") nextTheme();
    if (act === "rail") foldRail();
    const zone = /** @type {HTMLElement} */ (event.target).closest?.("[data-zone]")?.getAttribute("data-zone");
    if (zone) setCookie("tz", zone);
  });
  offerZone();
  const here = document.querySelector(".rail [aria-current]");
  if (matchMedia("(max-width: 720px)").matches) here?.scrollIntoView({ inline: "center", block: "nearest" });
  document.addEventListener("change", (event) => {
    const form = /** @type {HTMLElement} */ (event.target).closest?.("[data-columns]");
    if (form) keepColumns(/** @type {HTMLFormElement} */ (form));
    const choice = /** @type {HTMLSelectElement} */ (event.target);
    if (choice.matches?.("[data-send] select")) choice.form?.requestSubmit();
  });
  document.body.addEventListener("htmx:configRequest", (event) => {
    /** @type {any} */ (event).detail.headers["X-CSRFToken"] = csrfToken();
  });
}

function nextTheme() {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  root.dataset.theme = theme;
  setCookie("theme", theme);
  for (const place of document.querySelectorAll("[data-theme-name]")) place.textContent = theme;
  document.dispatchEvent(new CustomEvent("rf:theme"));
  say(`Theme: ${theme}`);
}

function foldRail() {
  const closed = document.body.classList.toggle("rail-closed");
  setCookie("rail", closed ? "closed" : "open");
  window.dispatchEvent(new Event("resize"));
}

function offerZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const link of document.querySelectorAll('a[data-zone=""]')) {
    if (!zone || zone === "UTC") continue;
    const there = new URL(link.getAttribute("href") ?? "", location.href);
    there.searchParams.set("tz", zone);
    link.textContent = zone;
    link.setAttribute("href", there.pathname + there.search);
    link.setAttribute("data-zone", zone);
    link.removeAttribute("hidden");
  }
}

/** @param {HTMLFormElement} form */
function keepColumns(form) {
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input[name=cols]"));
  const before = input.value.split(",");
  const on = [...form.querySelectorAll("input[type=checkbox]:checked")].map((box) => /** @type {HTMLInputElement} */ (box).value);
  input.value = [...before.filter((key) => on.includes(key)), ...on.filter((key) => !before.includes(key))].join(",");
}
