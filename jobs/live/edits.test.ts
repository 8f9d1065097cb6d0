import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { RecordedGame } from "../../data/live-server/recorded-game.ts";
import { readCdnGame } from "../../data/readers/cdn-live.ts";
import { type Json, member, parseJson } from "../../data/readers/json-cells.ts";
import { NO_REFERENCE } from "../../data/readers/reference.ts";
import type { SourceGame } from "../../data/source.ts";
import { CDN_GAMES_FILE, cdnGamesMissing } from "../../features/testing/cdn-games.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import { Feed, PlayFrameSchema } from "../../proto/gen/courtside/v1/play_pb.ts";
import { Harness } from "../../testing/harness.ts";
import { CurrentTables } from "../../tests/support/current-tables.ts";
import { analyse, windowed } from "../insight/graph.ts";
import { decodeFrame, type FrameInput } from "../insight/input.ts";
import type { OrderedPublisher } from "../replay/ordered-publisher.ts";
import { PublishedGame } from "./published-game.ts";

/** `EDITED_GAMES=60` takes all of them, which takes some minutes. */
const GAMES = Number(process.env["EDITED_GAMES"] ?? 2);
const SEED = Number(process.env["SEED"] ?? 1);

/** Between two looks at a document, in the game's own time: coarse enough to be quick. */
const LOOK_MS = 45_000;

function read(playByPlay: Json, boxScore: Json): SourceGame {
  const origin = { file: "recorded", feed: Feed.CDN_LIVE, reference: NO_REFERENCE };
  return readCdnGame({ playByPlay, boxScore, line: 1 }, origin, []);
}

/** The job and its views, fed with what a follower of the game publishes. */
class Followed {
  readonly #published: PublishedGame;
  readonly #tables = new CurrentTables();
  readonly #harness = new Harness<FrameInput>((source, collect) => {
    collect(windowed(analyse(source).games));
  });

  constructor(gameId: string) {
    this.#published = new PublishedGame(gameId);
  }

  get accounts(): number {
    return this.#published.accounts;
  }

  async see(game: SourceGame): Promise<void> {
    const publisher = {
      publish: (_subject: string, after: number) => Promise.resolve(after + 1),
    } as unknown as OrderedPublisher;
    for (const frame of this.#published.missing(game)) {
      await this.#published.publish(publisher, frame, { ingestTimeMs: 0, traceparent: "" });
      const input = decodeFrame(toBinary(PlayFrameSchema, frame), this.#published.subject);
      this.#harness.record(game.info.gameId, input);
      for (const record of this.#harness.take<InsightRecord>()) this.#tables.take(record);
    }
  }

  lines(): string[] {
    return this.#tables.lines();
  }
}

test.skipIf(cdnGamesMissing !== undefined)(
  `${String(GAMES)} recorded games with their edits, insertions and deletions end as if nothing had been edited`,
  async () => {
    const lines = gunzipSync(readFileSync(CDN_GAMES_FILE)).toString().split("\n", GAMES);
    let corrections = 0;
    for (const line of lines.map((text) => parseJson(text))) {
      const recorded = new RecordedGame(line, { edits: 0.5, seed: SEED });
      const live = new Followed(recorded.gameId);
      for (let atMs = recorded.startMs; ; atMs += LOOK_MS) {
        const document = recorded.playByPlayAt(atMs);
        const boxScore = parseJson(recorded.boxScoreAt(atMs).body);
        if (document !== undefined) await live.see(read(parseJson(document.body), boxScore));
        if (atMs > recorded.settledMs) break;
      }
      const final = read(member(line, "playbyplay"), member(line, "boxscore"));
      const clean = new Followed(recorded.gameId);
      await clean.see(final);
      corrections += live.accounts - clean.accounts;
      expect(live.lines(), `${recorded.gameId}, SEED=${String(SEED)}`).toEqual(clean.lines());
    }
    expect(corrections).toBeGreaterThan(20 * GAMES);
  },
  600_000,
);
