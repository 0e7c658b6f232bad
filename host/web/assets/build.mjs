// Builds everything that the pages load into dist/: one style sheet, one
// script, the fonts, the icon sprite and a manifest of hashed names.
// Run by `npm run build`; needs nothing but this repository's packages.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..", "..");
const dist = join(here, "dist");

await clean();
const manifest = { ...(await bundle()), ...(await sprite()), ...(await favicon()) };
await licences();
await writeFile(join(dist, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
await compress();

// clean empties dist but for the note that keeps the folder in the repository.
async function clean() {
  await mkdir(dist, { recursive: true });
  for (const name of await readdir(dist)) {
    if (name !== "README.md") await rm(join(dist, name), { recursive: true });
  }
}

// bundle makes the script and the style sheet, and copies the fonts it names.
async function bundle() {
  const result = await build({
    absWorkingDir: root,
    entryPoints: { app: join(here, "src", "app.js"), style: join(here, "src", "style.css") },
    outdir: dist,
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022"],
    supported: { nesting: true },
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".woff2": "file", ".woff": "empty" },
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const names = {};
  for (const [file, out] of Object.entries(result.metafile.outputs)) {
    const name = basename(file);
    if (out.entryPoint?.endsWith("app.js")) names["app.js"] = name;
    if (out.entryPoint?.endsWith("style.css")) names["style.css"] = name;
    if (name.startsWith("inter-latin-wght-normal")) names["inter.woff2"] = name;
  }
  return names;
}

// sprite joins the icons that icons.json names into one file of symbols.
async function sprite() {
  const wanted = JSON.parse(await readFile(join(here, "src", "icons.json"), "utf8"));
  const symbols = await Promise.all(
    Object.entries(wanted).map(async ([id, lucide]) => {
      const svg = await readFile(join(root, "node_modules/lucide-static/icons", lucide + ".svg"), "utf8");
      const inner = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
      return `<symbol id="${id}" viewBox="0 0 24 24">${inner.replace(/\s+/g, " ").trim()}</symbol>`;
    }),
  );
  const text = `<svg xmlns="http://www.w3.org/2000/svg"><!-- lucide, ISC licence: see LICENCES.txt -->${symbols.join("")}</svg>\n`;
  await writeFile(join(dist, "icons.svg"), text);
  return { "icons.svg": "icons.svg" };
}

// favicon copies the mark under a hashed name.
async function favicon() {
  const svg = await readFile(join(here, "src", "favicon.svg"));
  const name = `favicon-${createHash("sha256").update(svg).digest("hex").slice(0, 8)}.svg`;
  await writeFile(join(dist, name), svg);
  return { "favicon.svg": name };
}

// licences puts the notices of what is served beside it.
async function licences() {
  const packages = ["htmx.org", "lucide-static", "@fontsource-variable/inter", "@fontsource/jetbrains-mono"];
  const parts = await Promise.all(
    packages.map(async (p) => {
      const text = await readFile(join(root, "node_modules", p, "LICENSE"), "utf8");
      return `${p}\n${"=".repeat(p.length)}\n\n${text.trim()}\n`;
    }),
  );
  await writeFile(join(dist, "LICENCES.txt"), parts.join("\n\n"));
}

// compress writes a brotli twin of each text file, served where accepted.
async function compress() {
  for (const name of await readdir(dist)) {
    if (!/\.(js|css|svg)$/.test(name)) continue;
    const text = await readFile(join(dist, name));
    await writeFile(
      join(dist, name + ".br"),
      brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
    );
  }
}
