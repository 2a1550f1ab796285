// Bundle src/ to ../static/: a module without imports, and its style sheet. `npm ci && npm run build`.

import { readFileSync } from "node:fs";
import { build } from "esbuild";

const BUNDLED = ["cytoscape", "d3-dispatch", "d3-force", "d3-quadtree", "d3-timer"];

/** The licences of what the bundle contains, each with its package and version. */
function licences() {
  const texts = BUNDLED.map((name) => {
    const folder = new URL(`node_modules/${name}/`, import.meta.url);
    const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder)));
    const text = readFileSync(new URL("LICENSE", folder), "utf-8").replaceAll("*/", "* /").trim();
    return `${name} ${version} (${license})\n\n${text}`;
  });
  return `/*!\nflowbench's graph explorer (Apache-2.0), bundled with:\n\n${texts.join("\n\n")}\n*/`;
}

const settings = {
  absWorkingDir: import.meta.dirname,
  outdir: process.argv[2] ?? "../static",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none", // the banner has all of them, in full
};
await build({
  ...settings,
  entryPoints: ["src/graph.js"],
  banner: { js: licences() },
});
await build({
  ...settings, // these contain no package
  entryPoints: ["bench.js", "bench.css", "code.js", "panel.css", "timeline.js"].map((name) => `src/${name}`),
});
