// Copies the browser libraries and their licences out of node_modules into <name>-<version>/ beside this file.
// Run in this folder: npm ci --ignore-scripts && node vendor.mjs && rm -r node_modules
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const FILES = {
  "htmx.org": ["dist/htmx.min.js"],
  uplot: ["dist/uPlot.iife.min.js", "dist/uPlot.min.css"],
  cytoscape: ["dist/cytoscape.min.js"],
  "layout-base": ["layout-base.js"],
  "cose-base": ["cose-base.js"],
  "cytoscape-fcose": ["cytoscape-fcose.js"],
};

const rows = [];
for (const [name, files] of Object.entries(FILES)) {
  const source = join("node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(source, "package.json"), "utf-8"));
  const folder = `${name}-${version}`;
  mkdirSync(folder, { recursive: true });
  for (const file of [...files, "LICENSE"]) copyFileSync(join(source, file), join(folder, basename(file)));
  rows.push(`| ${name} | ${version} | ${license} | ${files.map((file) => basename(file)).join(", ")} |`);
}
const head = [
  "# Vendored browser libraries",
  "",
  "Copied unchanged from the npm packages by `vendor.mjs`; each folder holds the package's own LICENSE.",
  "",
  "| package | version | licence | files |",
  "|---|---|---|---|",
];
writeFileSync("VENDORED.md", [...head, ...rows, ""].join("\n"));
