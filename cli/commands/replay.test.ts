import { fromBinary } from "@bufbuild/protobuf";
import { jetstreamManager } from "@nats-io/jetstream";
import { type NatsConnection } from "@nats-io/nats-core";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openNats } from "../../jobs/nats.ts";
import { PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";

/** A process that starts on a loaded machine takes seconds. */
const TIMEOUT_MS = 60_000;
const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const NBA =
  process.env["COURTSIDE_NBA"] ?? fileURLToPath(new URL("../../../shared/nba", import.meta.url));
const SEASON = `${NBA}/pbp/v3_2023-24_regular.csv.gz`;

let server: TestNats;
let nc: NatsConnection;

beforeEach(async () => {
  server = await startNats();
  nc = await openNats(server.url, { name: "replay-test" });
});

afterEach(async () => {
  await nc.close();
  await server.stop();
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const all = [MAIN, "replay", "--nats-url", server.url, ...args];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, "close").then(() => ({ code: child.exitCode, stdout, stderr }));
  return { child, ended };
}

const replay = (...args: string[]): Promise<Ended> => start(...args).ended;

async function lastSequence(): Promise<number> {
  const manager = await jetstreamManager(nc);
  try {
    return (await manager.streams.info("PLAYS")).state.last_seq;
  } catch {
    return 0;
  }
}

async function waitForMessages(least: number): Promise<void> {
  while ((await lastSequence()) < least) await delay(20);
}

async function storedPlays(): Promise<Map<string, number[]>> {
  const manager = await jetstreamManager(nc);
  const plays = new Map<string, number[]>();
  const last = await lastSequence();
  for (let seq = 1; seq <= last; seq++) {
    const message = await manager.streams.getMessage("PLAYS", { seq });
    if (message === null) throw new Error(`message ${seq} is missing`);
    for (const { gameId, playNumber } of fromBinary(PlayFrameSchema, message.data).plays) {
      const numbers = plays.get(gameId) ?? [];
      numbers.push(playNumber);
      plays.set(gameId, numbers);
    }
  }
  return plays;
}

function expectNoGaps(plays: ReadonlyMap<string, readonly number[]>): void {
  for (const numbers of plays.values()) {
    expect(numbers).toEqual(Array.from(numbers, (_, index) => index + 1));
  }
}

test(
  "a replay killed in the middle gives every play once when it is run again",
  async () => {
    const { child, ended } = start("--games", "3", "--speed", "5000", "--json");
    await waitForMessages(300);
    child.kill("SIGKILL");
    await ended;
    const before = await lastSequence();
    const second = await replay("--games", "3", "--speed", "max", "--json");
    expect(second.code).toBe(0);
    const result = JSON.parse(second.stdout) as Record<string, number>;
    expect(result["skipped"]).toBeGreaterThan(250);
    expect(result["published"]).toBe((result["plays"] ?? 0) - (result["skipped"] ?? 0));
    expect(result["last_sequence"]).toBe(await lastSequence());
    expect(before).toBeLessThan(result["plays"] ?? 0);
    const plays = await storedPlays();
    expect([...plays.values()].flat()).toHaveLength(result["plays"] ?? 0);
    expectNoGaps(plays);
  },
  TIMEOUT_MS,
);

test(
  "the result is one JSON line with every number of the run",
  async () => {
    const { code, stdout, stderr } = await replay("--games", "2", "--speed", "max", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toHaveLength(2);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    const plays = [...(await storedPlays()).values()].flat().length;
    expect(result).toEqual({
      done: true,
      games: ["SYN0000001", "SYN0000002"],
      finished: 2,
      rows: plays,
      plays,
      accounts: plays,
      dead_letters: 0,
      frames: await lastSequence(),
      published: plays,
      skipped: 0,
      last_sequence: await lastSequence(),
      wall_s: expect.any(Number) as number,
    });
  },
  TIMEOUT_MS,
);

test(
  "an interrupted replay says so and exits with 1",
  async () => {
    const { child, ended } = start("--games", "3", "--speed", "100");
    await waitForMessages(5);
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ done: false, skipped: 0 });
  },
  TIMEOUT_MS,
);

test(
  "wrong flags are refused with the flag's name and exit code 2",
  async () => {
    const cases = [
      [["--speed", "0"], "--speed must be a number above 0"],
      [["--trace-rate", "2"], "--trace-rate must be a number from 0 to 1"],
      [["season.csv"], "named with --source season.csv"],
    ] as const;
    for (const [args, message] of cases) {
      const { code, stderr } = await replay(...args);
      expect(code).toBe(2);
      expect(stderr).toContain(message);
    }
    const missing = await replay("--source", "./no-such-season.csv");
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("no-such-season.csv");
  },
  TIMEOUT_MS,
);

const hasSeason = existsSync(SEASON);
if (!hasSeason) console.warn(`skipped: replay of a recorded season, since ${SEASON} is not there`);

test.skipIf(!hasSeason)(
  "recorded games arrive whole: every row is a play or a dead letter",
  async () => {
    const { code, stdout } = await replay(
      "--source",
      SEASON,
      "--games",
      "5",
      "--speed",
      "max",
      "--json",
    );
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Record<string, number>;
    const plays = await storedPlays();
    expect(plays.size).toBe(5);
    expectNoGaps(plays);
    expect([...plays.values()].flat()).toHaveLength(result["plays"] ?? 0);
    expect(result["rows"]).toBe((result["plays"] ?? 0) + (result["dead_letters"] ?? 0));
  },
  TIMEOUT_MS,
);
