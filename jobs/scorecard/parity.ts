import { jetstreamManager, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import type { ClickHouseClient } from "@clickhouse/client";
import { setTimeout as delay } from "node:timers/promises";
import { errorText } from "../../base/errors.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import type { Log } from "../../base/log.ts";
import { FEATURES } from "../../features/mod.ts";
import { PLAYS_STREAM, playsSubject } from "../../proto/subjects.ts";
import { recompute } from "../backfill/mod.ts";
import { decodeFrame, type FrameInput } from "../insight/input.ts";

/** Between two looks for ended games. */
const INTERVAL_MS = 5_000;
/** Games looked at in one turn, so that a stop never waits long. */
const GAMES_AT_ONCE = 2;
/** Messages of one game: as many plays as a game may have, each with a correction. */
const MAX_MESSAGES = 8_000;

interface Comparison {
  readonly game_id: string;
  readonly vectors: number;
  readonly missing: number;
  readonly differences: number;
  readonly first_difference: string;
}

/**
 * Recomputes a share of the games that have ended from their plays, by the back-fill's path, and compares every value of
 * every vector with what the live job wrote. Anything but equality, bit by bit, is a training/serving skew.
 */
export class Parity {
  readonly #client: ClickHouseClient;
  readonly #nats: NatsConnection;
  readonly #log: Log;
  /** 0..1 */
  readonly #share: number;
  #manager: JetStreamManager | undefined;

  constructor(client: ClickHouseClient, nats: NatsConnection, log: Log, share: number) {
    this.#client = client;
    this.#nats = nats;
    this.#log = log;
    this.#share = share;
  }

  /** Until the signal. */
  async run(signal: AbortSignal, intervalMs: number = INTERVAL_MS): Promise<void> {
    while (!signal.aborted && this.#share > 0) {
      let looked = 0;
      try {
        looked = (await this.look()).length;
      } catch (error) {
        this.#log.warn("parity_look_failed", { error: errorText(error) });
      }
      const waitMs = looked > 0 ? 0 : intervalMs;
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Compares a few games that have ended and were not looked at. */
  async look(): Promise<readonly Comparison[]> {
    const ended = await this.#rows<{ game_id: string }>(`
      SELECT game_id FROM courtside.game_results_current
      WHERE game_id NOT IN (SELECT game_id FROM courtside.feature_parity)
        AND sipHash64(game_id) % 10000 < ${String(Math.round(this.#share * 10_000))}
      ORDER BY game_id LIMIT ${String(GAMES_AT_ONCE)}`);
    const compared: Comparison[] = [];
    for (const { game_id } of ended) {
      const comparison = await this.#compare(game_id);
      await this.#client.insert({
        table: "courtside.feature_parity",
        values: [comparison],
        format: "JSONEachRow",
        clickhouse_settings: {
          insert_deduplicate: 1,
          insert_deduplication_token: `parity/${game_id}`,
        },
      });
      if (comparison.differences + comparison.missing > 0)
        this.#log.error("parity_broken", comparison.first_difference, { gameId: game_id });
      compared.push(comparison);
    }
    return compared;
  }

  async #compare(gameId: string): Promise<Comparison> {
    const plays = await recompute(gameId, await this.#messages(gameId));
    const recomputed = new Map<number, readonly number[]>();
    for (const { play, features } of plays)
      if (play !== undefined && features !== undefined && !play.retracted)
        recomputed.set(play.playNumber, features.values);
      else if (play?.retracted === true) recomputed.delete(play.playNumber);
    const stored = await this.#rows<{ play_number: number; values: number[] }>(
      `SELECT play_number, values FROM courtside.features_current
       WHERE game_id = '${gameId.replaceAll(/[\\']/g, "\\$&")}' ORDER BY play_number`,
    );
    let [vectors, differences, first] = [0, 0, ""];
    let missing = stored.length;
    for (const { play_number, values } of stored) {
      const other = recomputed.get(play_number);
      if (other === undefined) continue;
      recomputed.delete(play_number);
      missing -= 1;
      vectors += 1;
      for (const [i, value] of values.entries()) {
        if (Object.is(Math.fround(value), Math.fround(other[i] ?? Number.NaN))) continue;
        differences += 1;
        const name = FEATURES[i]?.name ?? String(i);
        first ||= `play ${String(play_number)}, ${name}: ${String(value)} is stored, ${String(other[i])} recomputed`;
      }
    }
    missing += recomputed.size;
    if (first === "" && missing > 0)
      first = `${String(missing)} plays have a vector on one side only`;
    return { game_id: gameId, vectors, missing, differences, first_difference: first };
  }

  /** The game's own messages, in order. */
  async #messages(gameId: string): Promise<FrameInput[]> {
    const manager = (this.#manager ??= await jetstreamManager(this.#nats, { checkAPI: false }));
    const subject = playsSubject(keyGroupOf(gameId), gameId);
    const frames: FrameInput[] = [];
    for (let seq = 1; frames.length < MAX_MESSAGES;) {
      try {
        const query = { seq, next_by_subj: subject };
        const stored = await manager.streams.getMessage(PLAYS_STREAM, query);
        if (stored === null) break;
        frames.push(decodeFrame(stored.data, subject));
        seq = stored.seq + 1;
      } catch (error) {
        if (error instanceof JetStreamApiError && error.status === NOT_FOUND) break;
        throw error;
      }
    }
    return frames;
  }

  async #rows<T>(query: string): Promise<T[]> {
    return (await this.#client.query({ query, format: "JSONEachRow" })).json<T>();
  }
}

const NOT_FOUND = 404;
