import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { layoutOf } from "../../local/data-dir.ts";
import { runProgram } from "../../cli/main.ts";
import { Courtside, ROOT } from "../support/courtside.ts";

/** The statements of docs/SQL.md, as an analyst would run them, on the run that the page describes. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const PAGE = join(ROOT, "docs/SQL.md");
/** A statement and the answer below it. */
const QUESTION = /^```sql\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```$/gm;

let folder: string;
let server: ClickHouseChild;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-sql-docs-"));
  const data = join(folder, "run");
  const run = ["up", "--games", "4", "--seed", "21", "--trace-rate", "1", "--until-done", "--json"];
  const { code, stderr } = await new Courtside([...run, "--port-base", "0", "--data", data])
    .finished;
  if (code !== 0) throw new Error(stderr);
  server = await startClickHouse(layoutOf(data).clickhouse);
});

afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

async function answer(sql: string): Promise<string> {
  let [stdout, stderr] = ["", ""];
  const code = await runProgram({
    args: ["sql", sql, "--clickhouse-url", server.url],
    environment: {},
    signal: new AbortController().signal,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  expect({ code, stderr }, sql).toEqual({ code: 0, stderr: "" });
  return stdout;
}

const headOf = (table: string): string =>
  (table.split("\n")[0] ?? "").split(/\s+/).join(" ").trim();

test("each of the ten questions has an answer, with the columns that the page shows", async () => {
  let page = await readFile(PAGE, "utf8");
  const questions = [...page.matchAll(QUESTION)];
  expect(questions).toHaveLength(10);
  for (const [block, sql = "", shown = ""] of questions) {
    const given = await answer(sql);
    expect(given.trim().split("\n").length, sql).toBeGreaterThanOrEqual(2);
    if (process.env["UPDATE_DOCS"] === undefined) expect(headOf(given), sql).toBe(headOf(shown));
    else page = page.replace(block, () => block.replace(shown, () => given));
  }
  if (process.env["UPDATE_DOCS"] !== undefined) await writeFile(PAGE, page);
});
