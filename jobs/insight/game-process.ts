import { create } from "@bufbuild/protobuf";
import {
  type KeyedProcess,
  type ProcessContext,
  protoCodec,
  valueState,
} from "../../operators/mod.ts";
import {
  type AnalysedPlay,
  AnalysedPlaySchema,
  FinishedGamesSchema,
  type GameLog,
  GameLogSchema,
  GameMarkSchema,
  type InsightRecord,
  InsightRecordSchema,
  type StageTimes,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import {
  type GameInfo,
  GameInfoSchema,
  type PlayEvent,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { GameFoldSchema, PlayersFoldSchema } from "../../proto/gen/courtside/v1/state_pb.ts";
import { correct, keepSnapshot } from "./correction.ts";
import { createFolds, foldPlay, type Folds } from "./game-analysis.ts";
import { type Arrival, deadLetterTag, type GameInput, refusedPlay } from "./input.ts";
import {
  type Account,
  accountRevision,
  close,
  createLog,
  knownPlays,
  lastNumberOf,
  MAX_PLAYS,
  pack,
  remember,
  revisionOf,
} from "./play-log.ts";
import { WINDOW_MINUTES } from "./windows.ts";

/**
 * Finished games of a key group that still take corrections: with 128 key groups 512 games, which the league
 * plays in two months, at about 40 KB each. A rule of counts, not of time, so that it does not depend on when
 * or by which worker the plays are read.
 */
const MAX_FINISHED_GAMES = 4;

/** Key of what a key group remembers as a whole; no game has it. */
const GROUP_KEY = "";

/** Past the end of every window that holds the last play. */
const BEHIND_LAST_WINDOW_MS = BigInt(Math.max(...WINDOW_MINUTES) * 60_000);

const state = {
  log: valueState(protoCodec(GameLogSchema)),
  info: valueState(protoCodec(GameInfoSchema)),
  game: valueState(protoCodec(GameFoldSchema)),
  players: valueState(protoCodec(PlayersFoldSchema)),
  finished: valueState(protoCodec(FinishedGamesSchema)),
};

const NO_TIMES: StageTimes = {
  $typeName: "courtside.v1.StageTimes",
  storedMs: 0,
  receivedMs: 0,
  startedMs: 0,
  foldedMs: 0,
  calledMs: 0,
  answeredMs: 0,
  leftMs: 0,
};

type Context = ProcessContext<InsightRecord, typeof state>;

/**
 * Folds the plays of one game into what is known after each of them. A play that comes in its turn is folded
 * at once; one that comes again is dropped; one that changes what was told (a correction, a play taken back, a
 * straggler) has the game folded again from before it, and what differs is told anew. So what has been told in
 * the end depends on the latest accounts alone, not on the order in which they came.
 */
export const gameProcess: KeyedProcess<GameInput, InsightRecord, typeof state> = {
  uid: "game",
  state,
  onRecord(context, input) {
    if (input.kind === "info") onInfo(context, input.info);
    else onPlays(context, input.accounts, input.arrival);
  },
};

/** An account that was known before changes nothing; one that comes behind plays has them folded again. */
function onInfo(context: Context, info: GameInfo): void {
  const before = context.state.info.get();
  if (before !== undefined && infoRevision(info) <= infoRevision(before)) return;
  const log = logOf(context);
  if (log.closed) return;
  context.state.info.set(info);
  emit(context, { case: "gameInfo", value: info });
  if (log.accounts > 0) applyCorrection(context, log, [], before);
}

function infoRevision(info: GameInfo): number {
  return Math.max(1, info.revision);
}

function onPlays(
  context: Context,
  accounts: readonly Account[],
  arrival: Arrival | undefined,
): void {
  const log = logOf(context);
  /** Accounts that change what was told, by play: they are applied together. */
  const pending = new Map<number, Account>();
  const settle = (): void => {
    if (pending.size === 0) return;
    applyCorrection(context, log, [...pending.values()], context.state.info.get());
    pending.clear();
  };
  for (const account of accounts) {
    const { play } = account;
    const known = Math.max(
      revisionOf(log, play.playNumber),
      accountRevisionOf(pending.get(play.playNumber)),
    );
    if (accountRevision(play) <= known) continue;
    const refusal = known === 0 || log.closed ? refuse(log, play) : undefined;
    if (refusal !== undefined) {
      context.side(deadLetterTag, refusal);
      continue;
    }
    const isNext = known === 0 && play.playNumber > lastNumberOf(log) && !play.retracted;
    if (isNext) settle();
    if (isNext && !log.gameOver) takeNext(context, log, account, arrival, account === accounts[0]);
    else {
      const older = pending.get(play.playNumber);
      if (older !== undefined) emitHistory(context, older.play);
      pending.set(play.playNumber, account);
    }
  }
  settle();
}

function accountRevisionOf(account: Account | undefined): number {
  return account === undefined ? 0 : accountRevision(account.play);
}

function refuse(log: GameLog, play: PlayEvent): ReturnType<typeof refusedPlay> | undefined {
  if (log.closed)
    return refusedPlay(play, "GAME_CLOSED", "the game ended too long ago to be corrected");
  if (play.playNumber === 0)
    return refusedPlay(play, "BAD_PLAY_NUMBER", "play_number is 0, plays are numbered from 1");
  if (knownPlays(log) >= MAX_PLAYS)
    return refusedPlay(play, "TOO_MANY_PLAYS", `a game has at most ${String(MAX_PLAYS)} plays`);
  return undefined;
}

/** The play comes in its turn: the only path that a game without corrections knows. */
function takeNext(
  context: Context,
  log: GameLog,
  account: Account,
  arrival: Arrival | undefined,
  isFirst: boolean,
): void {
  const { play } = account;
  const info = context.state.info.get();
  const folds = foldsOf(context, info, play.gameId);
  remember(log, account);
  const analysed = foldPlay(folds, info, play);
  // A trace is of one play: of those of a message, the first.
  if (isFirst) analysed.traceparent = context.traceparent;
  // Not by create, which takes a microsecond for each play.
  if (arrival !== undefined) analysed.times = { ...NO_TIMES, ...arrival };
  // A result that was taken back with this edition must not tie with the one that comes now.
  if (analysed.result !== undefined && log.edition > 0) log.edition += 1;
  analysed.edition = log.edition;
  keepSnapshot(log, folds);
  emit(context, { case: "play", value: analysed });
  settleEnd(context, log, folds, analysed);
}

function applyCorrection(
  context: Context,
  log: GameLog,
  accounts: readonly Account[],
  infoBefore: GameInfo | undefined,
): void {
  const info = context.state.info.get();
  const gameId = context.key;
  const { records, folds, last } = correct({ gameId, log, infoBefore, info }, accounts);
  for (const record of records) {
    if (record.body.case === "play") record.body.value.traceparent = context.traceparent;
    context.emit(record);
  }
  settleEnd(context, log, folds, last);
}

/** Keeps the folds of a game that goes on; one that is over is folded again from its log when need be. */
function settleEnd(
  context: Context,
  log: GameLog,
  folds: Folds,
  last: AnalysedPlay | undefined,
): void {
  log.gameOver = last?.play?.gameOver === true;
  if (!log.gameOver || last === undefined) {
    context.state.game.set(folds.game);
    context.state.players.set(folds.players);
    return;
  }
  context.state.game.clear();
  context.state.players.clear();
  pack(log);
  emitMark(context, context.key, last.gameTimeMs + BEHIND_LAST_WINDOW_MS, false);
  closeOldest(context);
}

/** Notes that the game has ended; the game that ended longest ago makes room. */
function closeOldest(context: Context): void {
  const { key } = context;
  const oldest = context.withKey(GROUP_KEY, () => {
    const finished = context.state.finished.get() ?? create(FinishedGamesSchema);
    if (!finished.gameIds.includes(key)) finished.gameIds.push(key);
    context.state.finished.set(finished);
    return finished.gameIds.length > MAX_FINISHED_GAMES ? finished.gameIds.shift() : undefined;
  });
  if (oldest === undefined) return;
  context.withKey(oldest, () => {
    const log = logOf(context);
    // A correction has opened it again: it comes back here when it ends.
    if (!log.gameOver) return;
    close(log);
    context.state.info.clear();
    emitMark(context, oldest, 0n, true);
  });
}

function logOf({ state: { log: logState } }: Context): GameLog {
  let log = logState.get();
  if (log === undefined) logState.set((log = createLog()));
  return log;
}

function foldsOf(context: Context, info: GameInfo | undefined, gameId: string): Folds {
  const game = context.state.game.get();
  const players = context.state.players.get();
  return game === undefined || players === undefined
    ? createFolds(info, gameId)
    : { game, players };
}

function emitMark(context: Context, gameId: string, gameTimeMs: bigint, closed: boolean): void {
  const value = create(GameMarkSchema, { gameTimeMs, closed });
  context.emit(create(InsightRecordSchema, { gameId, body: { case: "mark", value } }));
}

/** An account that a newer one of the same message replaces: the store keeps it, and nothing follows from it. */
function emitHistory(context: Context, play: PlayEvent): void {
  const value = create(AnalysedPlaySchema, { play, corrects: true, isSuperseded: true });
  emit(context, { case: "play", value });
}

function emit(context: Context, body: InsightRecord["body"]): void {
  context.emit(create(InsightRecordSchema, { gameId: context.key, body }));
}
