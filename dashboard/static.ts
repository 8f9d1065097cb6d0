import { readdir, readFile } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { type Body, bodyOf, sendBody } from "./http.ts";
import { builtPage } from "./page-build.ts";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** The built page in memory; a path that is not in here does not exist. */
export type PageFiles = ReadonlyMap<string, Body>;

/** Reads the built page, about 150 KB. @throws PageNotBuiltError */
export async function loadPage(): Promise<PageFiles> {
  const folder = await builtPage();
  const files = new Map<string, Body>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const type = CONTENT_TYPES[extname(path)] ?? "application/octet-stream";
    const name = path.slice(folder.length).replaceAll("\\", "/");
    files.set(name, bodyOf(await readFile(path), type));
  }
  const index = files.get("/index.html");
  if (index !== undefined) files.set("/", index);
  return files;
}

/** Serves a file of the page; false when `path` names none. */
export async function serveStatic(
  files: PageFiles,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const body = files.get(path);
  if (body === undefined) return false;
  // Built files carry their hash in their name; the page itself must never be yesterday's.
  const isHashed = path.startsWith("/assets/");
  await sendBody(
    request,
    response,
    body,
    isHashed ? "public, max-age=31536000, immutable" : "no-cache",
  );
  return true;
}
