import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Courtside, courtside, NBA, nbaMissing } from "../../tests/support/courtside.ts";
import { runProgram } from "../main.ts";

async function run(...args: readonly string[]): Promise<{ code: number; stderr: string }> {
  let stderr = "";
  const { signal } = new AbortController();
  const stdout = (): void => {};
  const environment = {};
  const code = await runProgram({
    args,
    environment,
    signal,
    stdout,
    stderr: (text) => {
      stderr += text;
    },
  });
  return { code, stderr };
}

test.each([
  [["live", "--date", "tomorrow"], '--date is a day such as 2025-02-05, not "tomorrow"'],
  [["live", "--date", "2025-02-31"], "--date is a day"],
  [["live", "--games", "3"], "--games takes ids of ten digits with commas between"],
  [["live", "--feed-url", "ftp://x"], '--feed-url is an http(s) address, not "ftp://x"'],
  [["live", "--poll-ms", "1"], "--poll-ms must be a whole number from 20"],
  [["up", "--source", "live", "--speed", "3"], "--speed is for recorded and generated games"],
  [["up", "--source", "live", "--correct", "0.1"], "--correct is for recorded and generated games"],
  [["replay", "--delay", "2"], "--delay is a share of the plays, a number from 0 to 1"],
  [["feed"], "feed needs --source FILE"],
  [["feed", "--source", "x", "--speed", "0"], "--speed must be above 0"],
])("%j is a usage error that says what the flag takes", async (args, message) => {
  const { code, stderr } = await run(...args);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

test("a file without recorded games is an error that names it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "courtside-feed-"));
  const file = join(folder, "empty.jsonl");
  await writeFile(file, "{}\n");
  const { code, stderr } = await run("feed", "--source", file, "--port", "0");
  await rm(folder, { recursive: true });
  expect(code).toBe(1);
  expect(stderr).toContain("no line is a recorded game");
});

test.skipIf(nbaMissing)(
  "the local feed serves scoreboard, schedule and games until it is told to stop",
  async () => {
    const source = join(NBA, "fixtures/cdn_raw_60_games_2025-02.jsonl.gz");
    const feed = new Courtside(["feed", "--source", source, "--games", "2", "--port", "0"]);
    await feed.says(/"port":\d+/);
    const port = /"port":(\d+)/.exec(feed.output)?.[1] ?? "";
    const get = async (path: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    const scoreboard = await get("/liveData/scoreboard/todaysScoreboard_00.json");
    expect(await scoreboard.json()).toMatchObject({ scoreboard: { gameDate: "2025-02-05" } });
    expect((await get("/liveData/boxscore/boxscore_0022400695.json")).status).toBe(200);
    expect((await get("/liveData/boxscore/boxscore_0022400000.json")).status).toBe(403);
    feed.process.kill("SIGTERM");
    expect((await feed.finished).code).toBe(0);
    // Who follows nothing at all ends with one line, not with a stack.
    const lost = await courtside("live", "--nats-url", "nats://127.0.0.1:1", "--games", "x");
    expect(lost.code).toBe(2);
  },
);
