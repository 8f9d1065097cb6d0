import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { playerLoadOf } from "../../features/mod.ts";
import { BoxUpdateSchema, type PlayerLoad } from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  type AnalysedPlay,
  AnalysedPlaySchema,
  type FoldSnapshot,
  FoldSnapshotSchema,
  type GameLog,
  type InsightRecord,
  InsightRecordSchema,
  WindowChangeSchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import type { GameInfo, PlayEvent } from "../../proto/gen/courtside/v1/play_pb.ts";
import { GameFoldSchema, PlayersFoldSchema } from "../../proto/gen/courtside/v1/state_pb.ts";
import { createFolds, type Folds, foldPlay } from "./game-analysis.ts";
import { type Account, compact, currentPlays, remember } from "./play-log.ts";
import { countsTheSame, sameAnalysis, sameValue } from "./sameness.ts";

/** Plays between two states to start from: folding so many again takes about a millisecond. */
const SNAPSHOT_PLAYS = 64;

/**
 * States that are kept, about 3.5 KB each: nearly all corrections come within minutes of their play, and those
 * from further back fold the game again from tip-off, in about 10 ms.
 */
const MAX_SNAPSHOTS = 3;

/** What is known of a game when it is corrected; the log is changed in place. */
export interface CorrectedGame {
  readonly gameId: string;
  readonly log: GameLog;
  readonly infoBefore: GameInfo | undefined;
  readonly info: GameInfo | undefined;
}

export interface Correction {
  /** What changed, in the order of the plays. */
  readonly records: readonly InsightRecord[];
  /** The game after its last play. */
  readonly folds: Folds;
  readonly last: AnalysedPlay | undefined;
}

/**
 * Takes accounts in that change what has been told already: edits, plays taken back, plays that come behind
 * their successors. Folds the game as it was and as it is now, from the last common state on, and gives a new
 * telling of each play whose insight differs: of the others nothing.
 */
export function correct(game: CorrectedGame, accounts: readonly Account[]): Correction {
  const { log } = game;
  const changed = new Map(accounts.map(({ play }) => [play.playNumber, play]));
  const isInfoNew = game.info !== game.infoBefore;
  const first = isInfoNew ? 0 : Math.min(...changed.keys());
  log.snapshots = log.snapshots.filter(({ playNumber }) => playNumber < first);
  const from = log.snapshots.at(-1);
  const plays = currentPlays(log, from?.playNumber ?? 0);
  for (const account of accounts) remember(log, account);
  compact(log);
  log.edition += 1;

  const before: Folds = restored(game.infoBefore, game.gameId, from);
  const now = restored(game.info, game.gameId, from);
  const head = plays.filter(({ playNumber }) => playNumber < first);
  const oldTail = plays.slice(head.length);
  const newTail = replaced(oldTail, changed);
  const isKept = snapshotter(log, head.length + newTail.length, now);
  for (const play of head) foldPlay(before, game.infoBefore, play);
  let last: AnalysedPlay | undefined;
  for (const play of head) {
    last = foldPlay(now, game.info, play);
    isKept(play);
  }
  const headPlay = last;
  const old = analyseAll(before, game.infoBefore, oldTail);
  const news = new Map<number, AnalysedPlay>();
  for (const play of newTail) {
    last = foldPlay(now, game.info, play);
    news.set(play.playNumber, last);
    isKept(play);
  }
  const differ = new Differ(game.gameId, log.edition, changed, { old, news });
  return { records: differ.records(headPlay, now), folds: now, last };
}

/** Once a game has been corrected, states are kept on the way, so that the next time costs less. */
export function keepSnapshot(log: GameLog, folds: Folds): void {
  if (log.edition === 0 || folds.game.playNumber % SNAPSHOT_PLAYS !== 0) return;
  log.snapshots.push(snapshotOf(folds));
  if (log.snapshots.length > MAX_SNAPSHOTS) log.snapshots.shift();
}

function analyseAll(
  folds: Folds,
  info: GameInfo | undefined,
  plays: readonly PlayEvent[],
): Map<number, AnalysedPlay> {
  return new Map(plays.map((play) => [play.playNumber, foldPlay(folds, info, play)]));
}

function replaced(
  plays: readonly PlayEvent[],
  changed: ReadonlyMap<number, PlayEvent>,
): PlayEvent[] {
  const byNumber = new Map(plays.map((play) => [play.playNumber, play]));
  for (const [playNumber, play] of changed) byNumber.set(playNumber, play);
  return [...byNumber.values()]
    .filter((play) => !play.retracted)
    .sort((a, b) => a.playNumber - b.playNumber);
}

/** Keeps the last few states of a game that is folded again. */
function snapshotter(log: GameLog, plays: number, folds: Folds): (play: PlayEvent) => void {
  let left = plays;
  return ({ playNumber }) => {
    left -= 1;
    if (
      left < SNAPSHOT_PLAYS * MAX_SNAPSHOTS &&
      playNumber > (log.snapshots.at(-1)?.playNumber ?? 0)
    )
      keepSnapshot(log, folds);
  };
}

function snapshotOf({ game, players }: Folds): FoldSnapshot {
  return create(FoldSnapshotSchema, {
    playNumber: game.playNumber,
    game: toBinary(GameFoldSchema, game),
    players: toBinary(PlayersFoldSchema, players),
  });
}

function restored(
  info: GameInfo | undefined,
  gameId: string,
  snapshot: FoldSnapshot | undefined,
): Folds {
  if (snapshot === undefined) return createFolds(info, gameId);
  return {
    game: fromBinary(GameFoldSchema, snapshot.game),
    players: fromBinary(PlayersFoldSchema, snapshot.players),
  };
}

/** Compares what was said of the plays of a game with what is to be said now. */
class Differ {
  readonly #gameId: string;
  readonly #edition: number;
  readonly #changed: ReadonlyMap<number, PlayEvent>;
  readonly #old: ReadonlyMap<number, AnalysedPlay>;
  readonly #news: ReadonlyMap<number, AnalysedPlay>;
  readonly #records: InsightRecord[] = [];
  readonly #players = new Set<number>();

  constructor(
    gameId: string,
    edition: number,
    changed: ReadonlyMap<number, PlayEvent>,
    tellings: {
      readonly old: ReadonlyMap<number, AnalysedPlay>;
      readonly news: ReadonlyMap<number, AnalysedPlay>;
    },
  ) {
    this.#gameId = gameId;
    this.#edition = edition;
    this.#changed = changed;
    this.#old = tellings.old;
    this.#news = tellings.news;
  }

  /**
   * @param headPlay - the last play before the first change.
   * @param folds - the game after its last play.
   */
  records(headPlay: AnalysedPlay | undefined, folds: Folds): InsightRecord[] {
    const numbers = new Set([...this.#old.keys(), ...this.#news.keys(), ...this.#changed.keys()]);
    const hasResult = [...this.#news.values()].some(({ result }) => result !== undefined);
    for (const playNumber of [...numbers].sort((a, b) => a - b)) {
      const old = this.#old.get(playNumber);
      const now = this.#news.get(playNumber);
      this.#tell(playNumber, old, now, old?.result !== undefined && !hasResult);
      this.#changeWindows(old, now);
    }
    const newest = [...this.#news.values()].at(-1) ?? headPlay;
    this.#tellNewHead(newest);
    this.#tellLines(newest, folds);
    return this.#records;
  }

  #tell(
    playNumber: number,
    old: AnalysedPlay | undefined,
    now: AnalysedPlay | undefined,
    isResultLost: boolean,
  ): void {
    const account = this.#changed.get(playNumber);
    if (account === undefined && old !== undefined && now !== undefined && sameAnalysis(old, now))
      return;
    const told =
      now ??
      create(AnalysedPlaySchema, {
        ...(account && { play: account }),
        gameTimeMs: old?.gameTimeMs ?? 0n,
      });
    told.corrects = true;
    told.edition = this.#edition;
    told.isDerived = account === undefined;
    told.resultRetracted = isResultLost;
    this.#keepChangedLines(told, old?.loads ?? []);
    if (told.runGrown === undefined) told.runRetracted = old?.runGrown !== undefined;
    else if (sameValue(told.runGrown, old?.runGrown)) delete told.runGrown;
    this.#push({ case: "play", value: told });
  }

  /** A line that stands as it was is not told again, and one that no longer holds is taken back. */
  #keepChangedLines(told: AnalysedPlay, oldLoads: readonly PlayerLoad[]): void {
    const old = new Map(oldLoads.map((load) => [load.playerId, load]));
    const lines = told.loads;
    told.loads = lines.filter((load) => !sameValue(load, old.get(load.playerId)));
    for (const { playerId } of lines) old.delete(playerId);
    told.retractedLoadIds = [...old.keys()];
    for (const { playerId } of told.loads) this.#players.add(playerId);
    for (const playerId of told.retractedLoadIds) this.#players.add(playerId);
  }

  #changeWindows(old: AnalysedPlay | undefined, now: AnalysedPlay | undefined): void {
    const wasAt = old?.gameTimeMs;
    const isAt = now?.gameTimeMs;
    if (wasAt === isAt && countsTheSame(old?.play, now?.play)) return;
    const isInPlace = wasAt === isAt;
    if (old?.play !== undefined)
      this.#pushChange(old.gameTimeMs, old.play, isInPlace ? now?.play : undefined);
    if (now?.play !== undefined && !(isInPlace && old?.play !== undefined))
      this.#pushChange(now.gameTimeMs, undefined, now.play);
  }

  #pushChange(
    gameTimeMs: bigint,
    removed: PlayEvent | undefined,
    added: PlayEvent | undefined,
  ): void {
    const value = create(WindowChangeSchema, {
      gameTimeMs,
      ...(removed && { removed }),
      ...(added && { added }),
    });
    this.#push({ case: "windowChange", value });
  }

  /** When the newest play was taken back, the one before it is where the game stands. */
  #tellNewHead(newest: AnalysedPlay | undefined): void {
    const lastBefore = Math.max(0, ...this.#old.keys());
    const number = newest?.play?.playNumber;
    if (newest === undefined || number === undefined || number >= lastBefore || newest.corrects)
      return;
    const value = create(AnalysedPlaySchema, {
      ...newest,
      loads: [],
      corrects: true,
      isDerived: true,
      edition: this.#edition,
    });
    delete value.runGrown;
    this.#push({ case: "play", value });
  }

  /** For the page: the lines of everyone concerned as of now. */
  #tellLines(newest: AnalysedPlay | undefined, { players }: Folds): void {
    const { play } = newest ?? {};
    if (play === undefined || this.#players.size === 0) return;
    const lines = [...this.#players].filter((id) => players.players[id]?.hasPlayed === true);
    const value = create(BoxUpdateSchema, {
      players: lines.map((playerId) => playerLoadOf(players, playerId, play)),
    });
    if (lines.length > 0) this.#push({ case: "box", value });
  }

  #push(body: InsightRecord["body"]): void {
    this.#records.push(create(InsightRecordSchema, { gameId: this.#gameId, body }));
  }
}
