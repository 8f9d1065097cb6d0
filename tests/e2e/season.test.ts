import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { parse } from "csv-parse";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSource } from "../../data/readers/mod.ts";
import { FEATURE_SCHEMA_HASH, holdsOdds } from "../../features/mod.ts";
import { backfill } from "../../jobs/backfill/mod.ts";
import { readAliases } from "../../serving/model/aliases.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { courtside, NBA, nbaMissing, sql } from "../support/courtside.ts";

/** Twenty recorded games through every real part, against the league's own numbers. */

const GAMES = 20;
const SEASON = join(NBA, "pbp/v3_2023-24_regular.csv.gz");

interface Summary {
  readonly ok: boolean;
  readonly games: number;
  readonly rows_in: number;
  readonly plays_stored: number;
  readonly predictions: number;
  readonly dead_letters: number;
  readonly by_game: readonly {
    readonly game_id: string;
    readonly home_score: number;
    readonly away_score: number;
    readonly home_win_prob: number;
  }[];
}

let data = "";
let summary: Summary;

async function* rowsOf(path: string): AsyncIterable<Record<string, string>> {
  const file = createReadStream(path).pipe(createGunzip());
  yield* file.pipe(parse({ columns: true })) as AsyncIterable<Record<string, string>>;
}

/** Rows of a CSV file that `keep` wants, at most `limit` of them. */
async function read(
  path: string,
  keep: (row: Record<string, string>) => boolean,
): Promise<Record<string, string>[]> {
  const kept: Record<string, string>[] = [];
  for await (const row of rowsOf(path)) if (keep(row)) kept.push(row);
  return kept;
}

beforeAll(async () => {
  if (nbaMissing !== undefined) return;
  data = await mkdtemp(join(tmpdir(), "courtside-season-"));
  const flags = ["--games", String(GAMES), "--speed", "max", "--until-done", "--json"];
  const { code, stdout, stderr } = await courtside(
    "up",
    "--source",
    SEASON,
    ...flags,
    "--data",
    data,
    "--port-base",
    "0",
  );
  expect(code, stderr).toBe(0);
  summary = JSON.parse(stdout) as Summary;
}, 300_000);

afterAll(async () => {
  if (data !== "") await rm(data, { recursive: true, force: true });
});

test.skipIf(nbaMissing)(
  "every row of the source is a play in the store or a dead letter",
  async () => {
    let rows = 0;
    const seen = new Set<string>();
    for await (const { gameId = "" } of rowsOf(SEASON)) {
      seen.add(gameId);
      if (seen.size > GAMES) break;
      rows += 1;
    }
    expect(summary).toMatchObject({ ok: true, games: GAMES, rows_in: rows });
    expect(summary.plays_stored + summary.dead_letters).toBe(rows);
    expect(summary.predictions).toBe(summary.plays_stored);
    const [stored] = await sql<{ predictions: string; games: string }>(
      data,
      "SELECT toString(count()) AS predictions, toString(uniqExact(game_id)) AS games FROM courtside.predictions",
    );
    expect(stored).toEqual({ predictions: String(summary.predictions), games: String(GAMES) });
  },
);

test.skipIf(nbaMissing)(
  "final scores are the official ones and the winner is certain at the end",
  async () => {
    const official = await read(join(NBA, "games/team_game_logs_2015-16_2024-25.csv.gz"), (row) =>
      summary.by_game.some((game) => game.game_id === row["game_id"]),
    );
    expect(official).toHaveLength(GAMES);
    for (const game of summary.by_game) {
      const row = official.find((each) => each["game_id"] === game.game_id);
      expect([game.home_score, game.away_score]).toEqual([
        Number(row?.["pts_home"]),
        Number(row?.["pts_road"]),
      ]);
      const homeWon = game.home_score > game.away_score;
      expect(homeWon ? game.home_win_prob : 1 - game.home_win_prob).toBeGreaterThan(0.99);
    }
  },
);

test.skipIf(nbaMissing)("player lines in the store are the official ones", async () => {
  const lines = await sql<Record<string, string>>(
    data,
    `SELECT game_id, toString(player_id) AS player_id, toString(points) AS points,
       toString(offensive_rebounds + defensive_rebounds) AS rebounds, toString(assists) AS assists,
       toString(played_s / 60) AS minutes FROM courtside.player_stats_current`,
  );
  const byPlayer = new Map(
    lines.map((line) => [`${String(line["game_id"])}/${String(line["player_id"])}`, line]),
  );
  const games = new Set(summary.by_game.map((game) => game.game_id));
  const official = await read(join(NBA, "games/player_game_logs_2023-24_2024-25.csv.gz"), (row) =>
    games.has(row["GAME_ID"] ?? ""),
  );
  const agreement = (ours: string, theirs: string, within = 0): number => {
    const equal = official.filter((row) => {
      const line = byPlayer.get(`${String(row["GAME_ID"])}/${String(row["PLAYER_ID"])}`);
      return Math.abs(Number(line?.[ours]) - Number(row[theirs])) <= within;
    });
    return equal.length / official.length;
  };
  const rates = {
    points: agreement("points", "PTS"),
    rebounds: agreement("rebounds", "REB"),
    assists: agreement("assists", "AST"),
    minutes: agreement("minutes", "MIN", 1),
  };
  console.log(`agreement with ${String(official.length)} official player lines:`, rates);
  expect(official.length).toBeGreaterThan(350);
  expect(rates.points).toBeGreaterThanOrEqual(0.99);
  expect(rates.rebounds).toBeGreaterThanOrEqual(0.99);
  expect(rates.assists).toBeGreaterThanOrEqual(0.99);
  expect(rates.minutes).toBeGreaterThanOrEqual(0.97);
});

test.skipIf(nbaMissing)(
  "every vector and probability in the store is the one that a back-fill makes, to the last bit",
  async () => {
    const stored = await sql<StoredRow>(
      data,
      `SELECT f.game_id AS game_id, toString(f.play_number) AS play_number, f.values AS values, p.home_win_prob AS home_win_prob,
         p.model_version AS model_version FROM courtside.features AS f
       JOIN courtside.predictions AS p ON p.game_id = f.game_id AND p.play_number = f.play_number`,
    );
    const rows = new Map(stored.map((row) => [`${row.game_id} ${row.play_number}`, row]));
    const folder = join(import.meta.dirname, "../../serving/models");
    const registry = await openRegistry(folder, { schemaHash: FEATURE_SCHEMA_HASH });
    const odds = (await readAliases(folder)).get("champion-odds") ?? "";
    let plays = 0;
    for await (const game of backfill(openSource(SEASON, { games: GAMES }))) {
      const vectors = game.plays.map(({ features }) => features?.values ?? []);
      const values = Float32Array.from(vectors.flat());
      const { card, onnx } = await registry.get(holdsOdds(values) ? odds : "");
      const scores = await onnx.score(values, vectors.length);
      for (const [i, { play }] of game.plays.entries()) {
        const row = rows.get(`${game.info.gameId} ${String(play?.playNumber)}`);
        expect(row?.values.map(asStored)).toEqual(vectors[i]?.map(asStored));
        expect(row?.model_version).toBe(card.version);
        expect(Number(row?.home_win_prob)).toBe(scores[i]);
        plays += 1;
      }
    }
    await registry.close();
    expect(plays).toBe(summary.predictions);
  },
  120_000,
);

/** A float32 without the sign of zero, which JSON loses. */
function asStored(value: number): number {
  return Math.fround(value) + 0;
}

interface StoredRow {
  readonly game_id: string;
  readonly play_number: string;
  readonly values: readonly number[];
  readonly home_win_prob: number;
  readonly model_version: string;
}
