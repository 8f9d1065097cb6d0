import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../../base/log.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { serveClickHouse } from "../../local/clickhouse/serve.ts";
import { isExact, RunStalledError, waitUntilStored, type Counts } from "./completion.ts";
import { replayResult } from "./pipeline.ts";
import { choosePorts, PortInUseError } from "./ports.ts";
import { formatSummary, summarize } from "./summary.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const ALL = ["page", "nats", "clickhouse", "grpc", "prometheus"] as const;

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-up-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("free ports are picked for everything with --port-base 0, and all differ", async () => {
  const ports = await choosePorts({ "port-base": "0" }, ALL);
  expect(new Set(Object.values(ports)).size).toBe(5);
  expect(Math.min(...Object.values(ports))).toBeGreaterThan(0);
});

test("a single flag wins over the base", async () => {
  const { port, server } = await busyPort();
  server.close();
  await once(server, "close");
  const ports = await choosePorts({ "port-base": "0", "nats-port": String(port) }, ALL);
  expect(ports.nats).toBe(port);
});

test("a busy port names itself and its flag", async () => {
  const { port, server } = await busyPort();
  const attempt = choosePorts({ "port-base": "0", "clickhouse-port": String(port) }, ALL);
  await expect(attempt).rejects.toThrow(PortInUseError);
  await expect(attempt).rejects.toThrow(
    `port ${port} for ClickHouse over HTTP is in use; choose another with --clickhouse-port N`,
  );
  server.close();
});

test("one port for two services is refused", async () => {
  const attempt = choosePorts({ "port-base": "0", port: "45123", "grpc-port": "45123" }, ALL);
  await expect(attempt).rejects.toThrow("--grpc-port and --port are both 45123");
});

test("a busy port ends up before anything is started", async () => {
  const { port, server } = await busyPort();
  const data = join(folder, "data");
  const flags = ["--port-base", "0", "--grpc-port", String(port), "--data", data];
  const { code, stderr } = await courtside("up", ...flags);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^courtside: port ${port} for gRPC .*\\[PORT_IN_USE\\]\n$`));
  expect(await readdir(join(data, "logs"))).toEqual([]);
  expect(await readdir(data)).not.toContain("lock");
  server.close();
});

test("a missing season and wrong flags are clear errors", async () => {
  const missing = await courtside("up", "--source", join(folder, "1987-88.csv"));
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain(`there is no season file or folder at ${folder}/1987-88.csv`);
  const slow = await courtside("up", "--speed", "slow");
  expect(slow.code).toBe(2);
  expect(slow.stderr).toContain('--speed must be a factor above 0 or "max", not "slow"');
  expect(await courtside("up", "--games", "0")).toMatchObject({ code: 2 });
}, 20_000);

test("a run is done when the store has every play, prediction, dead letter and result", async () => {
  await withStore(async (client) => {
    const games = ["0022300001", "0022300002"];
    const replay = { games, finished: 2, rows: 5, plays: 4, accounts: 4, deadLetters: 1 };
    const stalled = waitUntilStored(client, replay, { ...NO_SIGNAL, noProgressMs: 300 });
    await expect(stalled).rejects.toThrow(RunStalledError);
    await expect(stalled).rejects.toThrow(
      "missing: 4 of 4 accounts of plays, 4 of 4 plays, 4 of 4 predictions, 1 of 1 dead letters, 2 of 2 game results",
    );

    const stored = waitUntilStored(client, replay, NO_SIGNAL);
    await insertGames(client, games);
    const counts = await stored;
    expect(counts).toEqual({ accounts: 4, plays: 4, predictions: 4, deadLetters: 1, results: 2 });

    const input = { replay, counts, wallS: 12.34, replayS: 5.06, dataDir: "/data" };
    const summary = await summarize(client, input);
    expect(summary).toMatchObject({
      ok: true,
      games: 2,
      rows_in: 5,
      plays_stored: 4,
      latency_ms: { publish_to_prediction: { p50: 20, p99: 20 } },
      wall_s: 12.3,
    });
    expect(summary.by_game[0]).toEqual({
      game_id: "0022300001",
      home: "BOS",
      away: "LAL",
      home_score: 110,
      away_score: 108,
      home_win_prob: 0.998,
      final: true,
    });
    expect(formatSummary(summary)).toContain("0022300001  LAL   BOS   108-110");
  });
}, 60_000);

test("a play that is stored twice is no exact run", () => {
  const replay = { games: ["1"], finished: 1, rows: 4, plays: 3, accounts: 3, deadLetters: 1 };
  const counts: Counts = { accounts: 3, plays: 3, predictions: 3, deadLetters: 1, results: 1 };
  expect(isExact(counts, replay)).toBe(true);
  expect(isExact({ ...counts, plays: 4 }, replay)).toBe(false);
  expect(isExact({ ...counts, predictions: 2 }, replay)).toBe(false);
  expect(isExact(counts, { ...replay, rows: 5 })).toBe(false);
});

test("a replay that ends without its numbers is noticed", () => {
  expect(() => replayResult({ ready: true })).toThrow("ended without its result");
});

const NO_SIGNAL = { signal: new AbortController().signal };

type Client = Awaited<ReturnType<typeof openClickHouse>>;

async function withStore(work: (client: Client) => Promise<void>): Promise<void> {
  const server = await serveClickHouse({ dataDir: folder, port: 0, log: silentLog });
  const client = await openClickHouse(`http://127.0.0.1:${server.port}`);
  try {
    await migrate(client);
    await work(client);
  } finally {
    await client.close();
    await server.stop();
  }
}

async function insertGames(client: Client, games: readonly string[]): Promise<void> {
  const insert = async (table: string, values: readonly object[]): Promise<void> => {
    await client.insert({ table, values, format: "JSONEachRow" });
  };
  const ids = games.map((gameId) => ({ game_id: gameId }));
  const plays = ids.flatMap((id) => [
    { ...id, play_number: 1 },
    { ...id, play_number: 2 },
  ]);
  const result = { home_score: 110, away_score: 108, home_win_prob: 0.998 };
  const published = { ingest_time: "1700000000.000", predicted_at: "1700000000.020", ...result };
  await insert("plays", plays);
  await insert(
    "predictions",
    plays.map((play) => Object.assign({}, play, published)),
  );
  await insert("dead_letters", [{ reason: "MALFORMED_ROW", game_id: "" }]);
  await insert(
    "games",
    ids.map((id) => ({ ...id, home_team: "BOS", away_team: "LAL" })),
  );
  await insert(
    "game_results",
    ids.map((id) => Object.assign({}, id, result)),
  );
}

async function busyPort(): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, server };
}

async function courtside(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
