import { create } from "@bufbuild/protobuf";
import { systemClock } from "../../base/clock.ts";
import { keyGroupOf } from "../../base/key-group.ts";
import { silentLog } from "../../base/log.ts";
import { noTracing } from "../../base/tracing.ts";
import type { SourceGame } from "../../data/source.ts";
import { MemorySource } from "../../connectors/memory-source.ts";
import { JobGraph, MemoryStore, Task, type TransactionalSink } from "../../operators/mod.ts";
import type { AnalysedPlay, InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type DeadLetter,
  type GameInfo,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { analyse } from "../insight/graph.ts";
import { deadLetterTag, type FrameInput } from "../insight/input.ts";

/** A game as the insight job sees it: every play with its state and features. */
export interface BackfilledGame {
  readonly info: GameInfo;
  readonly plays: readonly AnalysedPlay[];
  /** Undefined for a game whose end is not in the source, and for a tie. */
  readonly homeWon: boolean | undefined;
  readonly deadLetters: readonly DeadLetter[];
}

/** Longer than any back-fill of one game: nothing is kept, so nothing has to be saved on the way. */
const NO_CHECKPOINTS_MS = 86_400_000;

/**
 * Runs the insight job's own operators over recorded games, without broker and model: what training sees is
 * what the job would have written. One game is in memory at a time.
 */
export async function* backfill(
  source: AsyncIterable<SourceGame> | Iterable<SourceGame>,
): AsyncIterable<BackfilledGame> {
  for await (const game of source) yield await backfillGame(game);
}

async function backfillGame({ info, plays, deadLetters }: SourceGame): Promise<BackfilledGame> {
  const frame = create(PlayFrameSchema, { gameInfo: info, plays, deadLetters });
  const { analysed, refused } = await analyseMessages(info.gameId, [{ kind: "frame", frame }]);
  return { info, plays: analysed, homeWon: winner(analysed), deadLetters: refused };
}

/**
 * What the job makes of a game's messages, corrections in their turn: a play that was told again is there again, behind
 * what it replaces.
 */
export async function recompute(
  gameId: string,
  messages: readonly FrameInput[],
): Promise<readonly AnalysedPlay[]> {
  return (await analyseMessages(gameId, messages)).analysed;
}

async function analyseMessages(
  gameId: string,
  messages: readonly FrameInput[],
): Promise<{ readonly analysed: AnalysedPlay[]; readonly refused: DeadLetter[] }> {
  const graph = new JobGraph<FrameInput>("backfill");
  const { inputs, games } = analyse(graph.source);
  const records: InsightRecord[] = [];
  const refused: DeadLetter[] = [];
  games.sinkTo(collector("records", records));
  inputs.side(deadLetterTag).sinkTo(collector("unreadable", refused));
  games.side(deadLetterTag).sinkTo(collector("refused", refused));
  const keyGroup = keyGroupOf(gameId);
  const source = messages.map((value, i) => ({
    value,
    keyGroup,
    sequence: i + 1,
    traceparent: "",
  }));
  await new Task<FrameInput>({
    graph,
    source: new MemorySource(source),
    store: new MemoryStore(),
    clock: systemClock,
    tracing: noTracing,
    log: silentLog,
    checkpointIntervalMs: NO_CHECKPOINTS_MS,
  }).run(new AbortController().signal);
  const analysed = records.flatMap(({ body }) => (body.case === "play" ? [body.value] : []));
  return { analysed, refused };
}

function winner(plays: readonly AnalysedPlay[]): boolean | undefined {
  const result = plays.at(-1)?.result;
  if (result === undefined || result.homeScore === result.awayScore) return undefined;
  return result.homeScore > result.awayScore;
}

function collector<T>(uid: string, into: T[]): TransactionalSink<T> {
  return {
    mode: "transactional",
    uid,
    open: () => Promise.resolve(),
    write: (value) => void into.push(value),
    full: () => false,
    seal: () => [],
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
