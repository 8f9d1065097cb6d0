import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type ServerProcess } from "./bench/serving-load.ts";

/** The curl lines of the README are run as they stand, against `courtside serve` with the committed models. */

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, "..");
/** A model that is trained again says a little else; then the README is still right. */
const TOLERANCE = 0.03;

let server: ServerProcess;

beforeAll(async () => {
  server = await startServer(path.join(ROOT, "serving/models"), ["--http-port", "0"]);
}, 60_000);

afterAll(() => server.stop());

/** Command and shown output, one after the other in the section. */
async function examples(): Promise<[string, string][]> {
  const readme = await readFile(path.join(ROOT, "README.md"), "utf8");
  const section = /\n## Ask the model\n(.*?)\n## /su.exec(readme)?.[1] ?? "";
  const found: [string, string][] = [];
  const blocks = section.matchAll(/```sh\n(curl .*?)```\s*```json\n(.*?)```/gsu);
  for (const [, command = "", output = ""] of blocks) found.push([command, output]);
  return found;
}

/** Equal but for numbers, which are near, and for what names a version. */
function expectAlike(found: unknown, shown: unknown, where: string): void {
  if (typeof shown === "number") {
    expect(Math.abs(Number(found) - shown), where).toBeLessThanOrEqual(TOLERANCE);
  } else if (typeof shown === "object" && shown !== null) {
    expect(Object.keys(found as object), where).toEqual(Object.keys(shown));
    for (const [key, value] of Object.entries(shown)) {
      expectAlike((found as Record<string, unknown>)[key], value, `${where}.${key}`);
    }
  } else if (/model_version|schema_hash/u.test(where)) expect(found, where).toMatch(/^[0-9a-f]+$/u);
  else expect(found, where).toEqual(shown);
}

test("every curl line of the README answers what the README shows", async () => {
  const found = await examples();
  expect(found.length).toBeGreaterThanOrEqual(3);
  for (const [command, shown] of found) {
    const here = command.replaceAll("localhost:8080", server.http);
    const { stdout } = await run("bash", ["-c", here]);
    const lines = (text: string): unknown[] =>
      text.includes("\n{") && !text.trim().includes("\n ")
        ? text
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line) as unknown)
        : [JSON.parse(text)];
    expectAlike(lines(stdout), lines(shown), command.slice(0, 60));
  }
}, 60_000);
