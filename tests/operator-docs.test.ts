import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The program of every page is run; the page shows what it prints. */
const PAGES = join(import.meta.dirname, "../docs/operators");
const pages = (await readdir(PAGES)).filter((name) => name.endsWith(".md") && name !== "README.md");

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-docs-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

test.each(pages)("the program on docs/operators/%s prints what the page says", async (name) => {
  const page = await readFile(join(PAGES, name), "utf8");
  const [, program = "", printed = ""] = /```ts\n(.*?)```\n+```text\n(.*?)```/s.exec(page) ?? [];
  expect(program).not.toBe("");
  const root = pathToFileURL(join(PAGES, "../..")).href;
  const file = join(folder, name.replace(".md", ".mts"));
  await writeFile(file, program.replaceAll('"../../', `"${root}/`));
  const { stdout } = await promisify(execFile)(process.execPath, [file]);
  expect(stdout).toBe(printed);
});
