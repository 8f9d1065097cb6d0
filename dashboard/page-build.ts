import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CourtsideError } from "../base/errors.ts";

const SOURCE_DIR = join(import.meta.dirname, "page");
const OUTPUT_DIR = join(import.meta.dirname, "dist");
/** Files outside of the page's folder that become part of it. */
const SHARED_FILES = ["story.ts", "wire.ts", "wire-views.ts"].map((name) =>
  join(import.meta.dirname, name),
);
/** Packages whose code is in the page, or that make it. */
const PACKAGES = ["preact", "uplot", "vite"];
const require = createRequire(import.meta.url);

/** There is no built page of these sources, and nothing to build one with. */
export class PageNotBuiltError extends CourtsideError {
  override readonly code = "PAGE_NOT_BUILT";
  override readonly retryable = false;

  constructor(options?: ErrorOptions) {
    super(
      'the page is not built and cannot be built here; run "npm run page" where the development packages are installed',
      options,
    );
  }
}

/**
 * Folder with the built page. Builds it (about a second) when there is none of the present sources; the folder's name is
 * their hash, so several processes may do this at once and a stale page is never served.
 * @throws PageNotBuiltError
 */
export async function builtPage(): Promise<string> {
  const name = await sourceHash();
  for (const folder of [OUTPUT_DIR, temporaryDir()]) {
    const built = join(folder, name);
    if (await exists(join(built, "index.html"))) return built;
  }
  for (const folder of [OUTPUT_DIR, temporaryDir()]) {
    if (
      await mkdir(folder, { recursive: true }).then(
        () => true,
        () => false,
      )
    )
      return build(folder, name);
  }
  throw new PageNotBuiltError();
}

/** An installation that cannot be written to gets its page beside it. */
function temporaryDir(): string {
  return join(tmpdir(), `courtside-page-${String(process.getuid?.() ?? 0)}`);
}

async function build(folder: string, name: string): Promise<string> {
  const vite = await import("vite").catch((cause: unknown) => {
    throw new PageNotBuiltError({ cause });
  });
  const draft = join(folder, `.draft-${String(process.pid)}`);
  await vite.build({
    configFile: false,
    logLevel: "error",
    root: SOURCE_DIR,
    // Relative addresses work behind any path prefix.
    base: "./",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: draft,
      emptyOutDir: true,
      target: "es2023",
      // The policy allows no data: URLs.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
  const built = join(folder, name);
  await rename(draft, built).catch(async (error: unknown) => {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(built))) throw error;
  });
  for (const other of await readdir(folder))
    if (other !== name && !other.startsWith(".draft-"))
      await rm(join(folder, other), { recursive: true, force: true });
  return built;
}

async function sourceHash(): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(SOURCE_DIR, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  for (const file of [...files, ...SHARED_FILES, import.meta.filename]) {
    hash.update(`${file.slice(import.meta.dirname.length)}\n`).update(await readFile(file));
  }
  for (const name of PACKAGES) hash.update(`${name} ${versionOf(name)}\n`);
  return hash.digest("hex").slice(0, 16);
}

/** As package.json pins it: an image has that file, but neither the lock file nor the packages of development. */
function versionOf(name: string): string {
  const { dependencies, devDependencies } = require("../package.json") as Record<
    "dependencies" | "devDependencies",
    Record<string, string>
  >;
  return dependencies[name] ?? devDependencies[name] ?? "";
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

if (import.meta.main) process.stdout.write(`${await builtPage()}\n`);
