import { create } from "@bufbuild/protobuf";
import { teamWindowAggregate, toTeamWindow } from "../../features/mod.ts";
import {
  protoCodec,
  slidingWindows,
  type TimeWindow,
  type WindowSpec,
} from "../../operators/mod.ts";
import {
  type InsightRecord,
  InsightRecordSchema,
  type TeamWindowAccumulators,
  TeamWindowAccumulatorsSchema,
} from "../../proto/gen/courtside/v1/job_pb.ts";
import { type PlayEvent, Side } from "../../proto/gen/courtside/v1/play_pb.ts";

/** Lengths of the team windows in game minutes. */
export const WINDOW_MINUTES: readonly number[] = [2, 5, 10];
/** A window of each length ends every game minute. */
const SLIDE_MS = 60_000;

/** Both teams' numbers over sliding windows of game time; a window without plays gives no record. */
export function teamWindows(
  minutes: number,
): WindowSpec<InsightRecord, TeamWindowAccumulators, TeamWindowAccumulators, InsightRecord> {
  return {
    uid: `team-window-${String(minutes)}`,
    assigner: slidingWindows(minutes * 60_000, SLIDE_MS),
    aggregate: {
      codec: protoCodec(TeamWindowAccumulatorsSchema),
      create: () =>
        create(TeamWindowAccumulatorsSchema, {
          home: teamWindowAggregate.create(),
          away: teamWindowAggregate.create(),
        }),
      add: (accumulators, { body }) => {
        if (body.case === "play" && body.value.play) addPlay(accumulators, body.value.play);
        return accumulators;
      },
      result: (accumulators) => accumulators,
    },
    emit: (gameId, window, accumulators) => [
      record(gameId, Side.HOME, window, accumulators),
      record(gameId, Side.AWAY, window, accumulators),
    ],
  };
}

function addPlay(accumulators: TeamWindowAccumulators, play: PlayEvent): void {
  const { home, away } = accumulators;
  if (play.side === Side.HOME && home !== undefined) {
    accumulators.homeTeamId = play.teamId;
    teamWindowAggregate.add(home, play, play.teamId);
  } else if (play.side === Side.AWAY && away !== undefined) {
    accumulators.awayTeamId = play.teamId;
    teamWindowAggregate.add(away, play, play.teamId);
  }
}

function record(
  gameId: string,
  side: Side,
  { startMs, endMs }: TimeWindow,
  accumulators: TeamWindowAccumulators,
): InsightRecord {
  const home = side === Side.HOME;
  const totals = (home ? accumulators.home : accumulators.away) ?? teamWindowAggregate.create();
  const teamId = home ? accumulators.homeTeamId : accumulators.awayTeamId;
  const key = { gameId, teamId, side, startS: startMs / 1000, endS: endMs / 1000 };
  return create(InsightRecordSchema, {
    gameId,
    body: { case: "teamWindow", value: toTeamWindow(key, totals) },
  });
}
