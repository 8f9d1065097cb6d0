import { create } from "@bufbuild/protobuf";
import {
  type EdgeSink,
  JobGraph,
  type KeyedProcess,
  mapState,
  numberCodec,
  protoCodec,
  type TransactionalSink,
  type Trigger,
  tumblingWindows,
  type WindowSpec,
} from "../../operators/mod.ts";
import {
  type LeagueLeader,
  LeagueLeaderSchema,
  type LeagueTotals,
  LeagueTotalsSchema,
  type PlayerPoints,
  PlayerPointsSchema,
  BoardPlaySchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import { type PlayEvent, PlayKind } from "../../proto/gen/courtside/v1/play_pb.ts";
import type { FrameInput } from "../insight/input.ts";

export const LEADERS_JOB = "leaders";
/** Key of everything behind the repartition: the board is of the whole league. */
export const LEAGUE = "league";

const WINDOW_MS = 3_600_000;
/**
 * A replay plays evenings of different weeks side by side, and corrections come days later: a window takes plays for
 * two weeks. With less, what is late depends on which collector was idle when.
 */
const OUT_OF_ORDERNESS_MS = 14 * 24 * WINDOW_MS;
/** Time from a window's first change to its next rows: what changes meanwhile is in the same rows. */
const SETTLE_MS = 1000;
/** A collector without games for so long holds nobody back. */
const IDLE_TIMEOUT_MS = 5000;
/** Lines of the board. */
const LEADERS = 10;

/** First stage, by game: what each play changes of its scorer's points. */
export function collectGraph(points: EdgeSink<PlayerPoints>): JobGraph<FrameInput> {
  const graph = new JobGraph<FrameInput>(LEADERS_JOB);
  graph.source
    .flatMap<PlayEvent>("plays", (input, emit) => {
      if (input.kind === "frame") for (const play of input.frame.plays) emit(play);
    })
    .keyBy((play) => play.gameId)
    .process(scoredPlays)
    .timestamps("time", {
      eventTimeMs: ({ eventTimeMs }) => Number(eventTimeMs),
      outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
    })
    .sinkTo(points);
  return graph;
}

/** Second stage, of the whole league: the players with most points of every hour, again whenever that changes. */
export function rankGraph(leaders: TransactionalSink<LeagueLeader>): JobGraph<PlayerPoints> {
  const graph = new JobGraph<PlayerPoints>(LEADERS_JOB, { sourceHasTime: true });
  graph.source
    .keyBy(() => LEAGUE)
    .window(board)
    .sinkTo(leaders);
  return graph;
}

const scoredState = { scored: mapState(protoCodec(BoardPlaySchema)) };

/** Play numbers that have scored are remembered with what they brought: repetitions bring nothing, corrections the rest. */
const scoredPlays: KeyedProcess<PlayEvent, PlayerPoints, typeof scoredState> = {
  uid: "scored",
  state: scoredState,
  onRecord(context, play) {
    const { scored } = context.state;
    const key = String(play.playNumber);
    const before = scored.get(key);
    if (before !== undefined && before.revision >= play.revision) return;
    const points = play.retracted ? 0 : pointsOf(play);
    if (before === undefined && points === 0 && play.revision <= 1) return;
    scored.set(
      key,
      create(BoardPlaySchema, { revision: play.revision, playerId: play.actorId, points }),
    );
    if (before !== undefined && before.points !== 0)
      context.emit(change(play, before.playerId, -before.points));
    if (points !== 0) context.emit(change(play, play.actorId, points));
  },
};

function change(play: PlayEvent, playerId: number, points: number): PlayerPoints {
  const isActor = playerId === play.actorId;
  return create(PlayerPointsSchema, {
    playerId,
    points,
    playerName: isActor ? play.actorName : "",
    teamId: isActor ? play.teamId : 0,
    eventTimeMs: play.eventTimeMs,
    gameId: play.gameId,
  });
}

function pointsOf({ kind, shotMade, shotValue }: PlayEvent): number {
  if (!shotMade) return 0;
  if (kind === PlayKind.FREE_THROW) return 1;
  return kind === PlayKind.SHOT ? shotValue : 0;
}

/** Fires a while after a record, once for all that come until then; a window that does not change is quiet. */
const afterChange: Trigger<PlayerPoints, number> = {
  name: "after-change",
  codec: numberCodec,
  onElement: (_points, _timeMs, _window, context) => {
    if (context.state === undefined) {
      context.state = context.nowMs + SETTLE_MS;
      context.registerProcessing(context.state);
    }
    return "continue";
  },
  onProcessingTime: (_timeMs, _window, context) => {
    context.state = undefined;
    return "fire";
  },
  clear: (_window, context) => {
    if (context.state !== undefined) context.deleteProcessing(context.state);
  },
};

const board: WindowSpec<PlayerPoints, LeagueTotals, LeagueTotals, LeagueLeader> = {
  uid: "board",
  assigner: tumblingWindows(WINDOW_MS),
  trigger: afterChange,
  aggregate: {
    codec: protoCodec(LeagueTotalsSchema),
    create: () => create(LeagueTotalsSchema),
    add: (totals, { playerId, playerName, teamId, points }) => {
      const total = totals.players[playerId] ?? create(PlayerPointsSchema, { playerId });
      total.points += points;
      if (playerName !== "") total.playerName = playerName;
      if (teamId !== 0) total.teamId = teamId;
      totals.players[playerId] = total;
      totals.changes += 1;
      return totals;
    },
    result: (totals) => totals,
  },
  emit: (_key, { startMs, endMs }, { players, changes }) =>
    Object.values(players)
      .filter(({ points }) => points > 0)
      .toSorted((a, b) => b.points - a.points || a.playerId - b.playerId)
      .slice(0, LEADERS)
      .map((total, i) =>
        create(LeagueLeaderSchema, {
          windowStartMs: BigInt(startMs),
          windowEndMs: BigInt(endMs),
          rank: i + 1,
          changes,
          total,
        }),
      ),
};
