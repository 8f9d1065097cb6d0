import { readFile } from "node:fs/promises";
import { type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";

/** No inline code, nothing from elsewhere, no frames: hostile feed text has nothing to hook into. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

const PUBLIC_DIR = join(import.meta.dirname, "public");
const UPLOT_DIR = dirname(createRequire(import.meta.url).resolve("uplot"));

/** Every file that is served; a path that is not here does not exist. */
const FILES: ReadonlyMap<string, string> = new Map([
  ["/", join(PUBLIC_DIR, "index.html")],
  ["/index.html", join(PUBLIC_DIR, "index.html")],
  ...[
    "app.js",
    "chart.js",
    "feed.js",
    "format.js",
    "views.js",
    "tables.js",
    "style.css",
    "icon.svg",
  ].map((name): [string, string] => [`/${name}`, join(PUBLIC_DIR, name)]),
  ["/vendor/uPlot.esm.js", join(UPLOT_DIR, "uPlot.esm.js")],
  ["/vendor/uPlot.min.css", join(UPLOT_DIR, "uPlot.min.css")],
]);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Serves a file of the page; false when `path` names none. */
export async function serveStatic(path: string, response: ServerResponse): Promise<boolean> {
  const file = FILES.get(path);
  if (file === undefined) return false;
  const body = await readFile(file);
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    "content-type": CONTENT_TYPES[extname(file)] ?? "application/octet-stream",
    // Files are small and local; a page must never run yesterday's code against today's events.
    "cache-control": "no-cache",
  });
  response.end(body);
  return true;
}
