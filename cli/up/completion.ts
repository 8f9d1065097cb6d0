import { setTimeout as delay } from "node:timers/promises";
import type { ClickHouseClient } from "@clickhouse/client";
import { CourtsideError } from "../../base/errors.ts";
import type { ReplayResult } from "./pipeline.ts";

const POLL_MS = 200;
/** Rows come at least with every checkpoint; one that takes a minute will not come. */
const NO_PROGRESS_MS = 60_000;

/** How much of a replay is in the store. */
export interface Counts {
  /** Rows of plays, corrections included. */
  readonly accounts: number;
  /** What holds of them; the same as `accounts` when nothing was corrected. */
  readonly plays: number;
  readonly predictions: number;
  readonly deadLetters: number;
  readonly results: number;
}

/** The store does not get what the replay published. */
export class RunStalledError extends CourtsideError {
  override readonly code = "RUN_STALLED";
  override readonly retryable = true;
}

/**
 * Waits until the store has every play, prediction, dead letter and result of a replay.
 *
 * @returns what it has then, which may be more than was expected.
 * @throws RunStalledError with what is missing, after a minute without anything new.
 */
export async function waitUntilStored(
  client: ClickHouseClient,
  replay: ReplayResult,
  options: {
    readonly signal: AbortSignal;
    readonly onCounts?: (counts: Counts) => void;
    readonly noProgressMs?: number;
  },
): Promise<Counts> {
  const noProgressMs = options.noProgressMs ?? NO_PROGRESS_MS;
  let last: Counts = { accounts: 0, plays: 0, predictions: 0, deadLetters: 0, results: 0 };
  let changedMs = performance.now();
  for (;;) {
    options.signal.throwIfAborted();
    // A store that is being started again is one without progress, for a while.
    const counts = (await countStored(client, replay).catch(() => undefined)) ?? last;
    options.onCounts?.(counts);
    if (missing(counts, replay).length === 0) return counts;
    if (JSON.stringify(counts) !== JSON.stringify(last)) changedMs = performance.now();
    last = counts;
    if (performance.now() - changedMs > noProgressMs) {
      throw new RunStalledError(
        `the store got nothing new for ${noProgressMs / 1000} s; missing: ` +
          missing(counts, replay).join(", "),
      );
    }
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
}

/** Scores follow the results within a checkpoint; a run does not fail for want of them. */
const SCORES_WAIT_MS = 10_000;

/** Waits until every game that has a winner is scored, for ten seconds at most. */
export async function waitUntilScored(
  client: ClickHouseClient,
  { games }: ReplayResult,
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + SCORES_WAIT_MS;
  const query = `SELECT toUInt32(count()) AS unscored FROM game_results
    WHERE game_id IN (${gameList(games)}) AND home_score != away_score
      AND game_id NOT IN (SELECT game_id FROM model_scores)`;
  while (!signal.aborted && performance.now() < deadlineMs) {
    const result = await client.query({ query, format: "JSONEachRow" });
    const [row] = await result.json<{ unscored: number }>();
    if (row?.unscored === 0) return;
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** True when the store has exactly what was published: nothing missing, nothing twice. */
export function isExact(counts: Counts, replay: ReplayResult): boolean {
  return (
    counts.accounts === replay.accounts &&
    counts.plays === replay.plays &&
    counts.predictions === replay.plays &&
    counts.deadLetters === replay.deadLetters &&
    counts.results === replay.finished &&
    replay.rows === replay.plays + replay.deadLetters
  );
}

function missing(counts: Counts, replay: ReplayResult): readonly string[] {
  return [
    lack("accounts of plays", counts.accounts, replay.accounts),
    lack("plays", counts.plays, replay.plays),
    lack("predictions", counts.predictions, replay.plays),
    lack("dead letters", counts.deadLetters, replay.deadLetters),
    lack("game results", counts.results, replay.finished),
  ].flat();
}

function lack(what: string, have: number, want: number): readonly string[] {
  return have >= want ? [] : [`${want - have} of ${want} ${what}`];
}

/** Views cost more than tables, so they are asked only where something was corrected. */
async function countStored(
  client: ClickHouseClient,
  { games, plays, accounts }: ReplayResult,
): Promise<Counts> {
  const ids = gameList(games);
  const of = accounts === plays ? "" : "_current";
  const result = await client.query({
    query: `SELECT
      toUInt32((SELECT count() FROM plays WHERE game_id IN (${ids}))) AS accounts,
      toUInt32((SELECT count() FROM plays${of} WHERE game_id IN (${ids}))) AS plays,
      toUInt32((SELECT count() FROM predictions${of} WHERE game_id IN (${ids}))) AS predictions,
      toUInt32((SELECT count() FROM dead_letters WHERE game_id IN (${ids}, ''))) AS deadLetters,
      toUInt32((SELECT count() FROM game_results${of} WHERE game_id IN (${ids}))) AS results`,
    format: "JSONEachRow",
  });
  const [counts] = await result.json<Counts>();
  if (counts === undefined) throw new TypeError("the store answered a count with nothing");
  return counts;
}

/**
 * Game ids as a list of SQL literals. In the text and not as a parameter, which would travel in the address: the
 * ids of a season are longer than an address may be.
 */
export function gameList(games: readonly string[]): string {
  return games.map((id) => `'${id.replaceAll(/[\\']/g, "\\$&")}'`).join(", ") || "''";
}
