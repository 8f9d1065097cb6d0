import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { keyGroupOf } from "../../base/key-group.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import { openSource } from "../../data/readers/mod.ts";
import {
  MemoryStore,
  type SourceRecord,
  Task,
  type TransactionalSink,
} from "../../operators/mod.ts";
import { PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { insightGraph } from "./graph.ts";
import type { FrameInput } from "./input.ts";
import { encodeInsight } from "./insights.ts";
import { deadLetterRow, insightRows } from "./rows.ts";

/**
 * What the whole insight job makes of three recorded games, as digests by table and of the output stream. A change
 * here is a change of what users see: make them again with GOLDEN=write and say why in the commit.
 */
const NBA = process.env["COURTSIDE_NBA"] ?? join(import.meta.dirname, "../../../shared/nba");
const SEASON = join(NBA, "pbp/v3_2023-24_regular.csv.gz");
const GOLDEN = join(import.meta.dirname, "golden.json");
const GAMES = 3;

async function* messages(): AsyncIterable<SourceRecord<FrameInput>> {
  let sequence = 0;
  for await (const { info, plays, deadLetters } of openSource(SEASON, { games: GAMES })) {
    for (const [i, play] of plays.entries()) {
      sequence += 1;
      const frame = create(PlayFrameSchema, {
        plays: [play],
        ...(i === 0 && { gameInfo: info, deadLetters }),
      });
      const keyGroup = keyGroupOf(info.gameId);
      yield { value: { kind: "frame", frame }, keyGroup, sequence, traceparent: "" };
    }
  }
}

/** Counts and digests of lines, by name. */
class Digests {
  readonly #by = new Map<string, { lines: number; hash: ReturnType<typeof createHash> }>();

  add(name: string, line: string | Uint8Array): void {
    let digest = this.#by.get(name);
    if (digest === undefined)
      this.#by.set(name, (digest = { lines: 0, hash: createHash("sha256") }));
    digest.lines += 1;
    digest.hash.update(line).update("\n");
  }

  all(): Record<string, string> {
    const names = [...this.#by.keys()].toSorted();
    return Object.fromEntries(
      names.map((name) => {
        const { lines, hash } = this.#by.get(name) ?? { lines: 0, hash: createHash("sha256") };
        return [name, `${String(lines)} ${hash.digest("hex").slice(0, 32)}`];
      }),
    );
  }
}

function sink<T>(
  uid: string,
  digests: Digests,
  rows: (value: T, put: (table: string, row: object) => void) => void,
): TransactionalSink<T> {
  return {
    mode: "transactional",
    uid,
    open: () => Promise.resolve(),
    write: (value) => rows(value, (table, row) => digests.add(table, JSON.stringify(row))),
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

test.skipIf(!existsSync(SEASON))(
  "three recorded games give the rows and insights that they gave before",
  async () => {
    const digests = new Digests();
    await new Task<FrameInput>({
      graph: insightGraph({
        predictor: {
          predictBatch: (requests) =>
            Promise.resolve(
              requests.map(({ input }) => {
                // Depends on every feature, so that a vector that changed shows.
                const values = input.case === "features" ? input.value.values : [];
                const sum = values.reduce((total, value, i) => total + value * (i + 1), 0);
                return create(PredictionSchema, { homeWinProb: 1 / (1 + Math.exp(-sum / 1000)) });
              }),
            ),
        },
        clock: { nowMs: () => 0 },
        log: silentLog,
        insights: {
          mode: "immediate",
          uid: "insights",
          open: () => Promise.resolve(),
          write: (insight, position) =>
            digests.add("INSIGHTS", encodeInsight(insight, position, 1).data),
          blocked: () => undefined,
          flush: () => Promise.resolve(),
          close: () => Promise.resolve(),
        },
        records: sink("records", digests, insightRows),
        deadLetters: sink("dead-letters", digests, (letter, put) =>
          put("dead_letters", deadLetterRow(letter)),
        ),
      }),
      source: new MemorySource(messages()),
      store: new MemoryStore(),
      clock: systemClock,
      tracing: noTracing,
      log: silentLog,
      checkpointIntervalMs: 1000,
    }).run(new AbortController().signal);
    const got = digests.all();
    if (process.env["GOLDEN"] === "write")
      writeFileSync(GOLDEN, `${JSON.stringify(got, null, 2)}\n`);
    expect(got).toEqual(JSON.parse(readFileSync(GOLDEN, "utf8")));
  },
);
