/**
 * What a correction costs the insight job, in process: `node tests/bench/corrections.ts`. Milliseconds each, and how
 * many plays in their turn the job takes in that time, in the same run; and the bytes of state that a game keeps.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { analyse, windowed } from "../../jobs/insight/graph.ts";
import { decodeFrame, type FrameInput } from "../../jobs/insight/input.ts";
import {
  type PlayEvent,
  PlayEventSchema,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { Harness } from "../../testing/harness.ts";

const ROUNDS = 40;

const [season] = syntheticSeason({ seed: 4, games: 1, startTimeMs: 1_700_000_000_000 });
if (season === undefined) throw new Error("the generator gave no game");
const { info, plays } = season;

class Job {
  readonly #harness = new Harness<FrameInput>((source, collect) => {
    collect(windowed(analyse(source).games));
  });

  /** @returns records that came of it. */
  feed(told: readonly PlayEvent[]): number {
    const bytes = toBinary(PlayFrameSchema, create(PlayFrameSchema, { plays: [...told] }));
    this.#harness.record(info.gameId, decodeFrame(bytes, "plays"));
    return this.#harness.take().length;
  }

  stateBytes(): number {
    let bytes = 0;
    for (const group of this.#harness.snapshot().states.values()) bytes += group.length;
    return bytes;
  }
}

function revised(
  play: PlayEvent | undefined,
  revision: number,
  changes: Partial<PlayEvent>,
): PlayEvent {
  return create(PlayEventSchema, { ...play, revision, ...changes } as PlayEvent);
}

/** Median time of `work`, which gets the round's number, from 2. */
function timeMs(work: (revision: number) => void): number {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startMs = performance.now();
    work(round + 2);
    times.push(performance.now() - startMs);
  }
  return times.toSorted((a, b) => a - b)[ROUNDS / 2] ?? 0;
}

// The compiler warms up on a game of its own.
const warm = new Job();
for (const play of plays) warm.feed([play]);

const job = new Job();
const middle = plays.slice(0, 400);
const startMs = performance.now();
for (const play of middle) job.feed([play]);
const playMs = (performance.now() - startMs) / middle.length;

const report: Record<string, number> = {
  play_in_its_turn_ms: playMs,
  state_bytes_at_400: job.stateBytes(),
};
const cost = (name: string, ms: number): void => {
  report[`${name}_ms`] = ms;
  report[`${name}_in_plays`] = ms / playMs;
};
const last = plays[398];
const early = plays[20];
cost(
  "edit_of_the_last_play",
  timeMs((revision) => void job.feed([revised(last, revision, { actorId: revision })])),
);
cost(
  "edit_of_a_text_in_the_first_quarter",
  timeMs((revision) => {
    job.feed([revised(early, revision, { description: String(revision) })]);
  }),
);
cost(
  "edit_of_a_score_in_the_first_quarter",
  timeMs((revision) => {
    job.feed([revised(early, revision + ROUNDS, { homeScore: revision % 7 })]);
  }),
);
cost(
  "insertion_that_renumbers_100",
  timeMs((revision) => {
    const moved = plays.slice(300, 400);
    job.feed(moved.map((play) => revised(play, revision + 2 * ROUNDS, { actorId: revision })));
  }),
);
process.stdout.write(
  `${JSON.stringify(report, (_key, value: unknown) => (typeof value === "number" ? Math.round(value * 1000) / 1000 : value), 2)}\n`,
);
