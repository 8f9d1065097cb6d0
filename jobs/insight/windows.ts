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
import type { WindowAccumulator } from "../../proto/gen/courtside/v1/state_pb.ts";

/** Lengths of the team windows in game minutes. */
export const WINDOW_MINUTES: readonly number[] = [2, 5, 10];
/** A window of each length ends every game minute. */
const SLIDE_MS = 60_000;

/** Longer than any game, so that a window fires again when a play of it is corrected, until the game is closed. */
const ALLOWED_LATENESS_MS = 86_400_000;

/**
 * Both teams' numbers over sliding windows of game time. A window without plays gives no record; one that
 * corrections have emptied is taken back.
 */
export function teamWindows(
  minutes: number,
): WindowSpec<InsightRecord, TeamWindowAccumulators, TeamWindowAccumulators, InsightRecord> {
  return {
    uid: `team-window-${String(minutes)}`,
    assigner: slidingWindows(minutes * 60_000, SLIDE_MS),
    allowedLatenessMs: ALLOWED_LATENESS_MS,
    aggregate: {
      codec: protoCodec(TeamWindowAccumulatorsSchema),
      create: () =>
        create(TeamWindowAccumulatorsSchema, {
          home: teamWindowAggregate.create(),
          away: teamWindowAggregate.create(),
        }),
      add: (accumulators, { body }) => {
        if (body.case === "play" && body.value.play) count(accumulators, body.value.play, 1);
        if (body.case !== "windowChange") return accumulators;
        const { removed, added } = body.value;
        if (removed !== undefined) count(accumulators, removed, -1);
        if (added !== undefined) count(accumulators, added, 1);
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

function count(accumulators: TeamWindowAccumulators, play: PlayEvent, step: 1 | -1): void {
  const { home, away } = accumulators;
  accumulators.plays += step;
  accumulators.changes += 1;
  if (play.side === Side.HOME && home !== undefined) {
    accumulators.homePlays += step;
    accumulators.homeTeamId = play.teamId;
    countOne(home, play, step);
  } else if (play.side === Side.AWAY && away !== undefined) {
    accumulators.awayPlays += step;
    accumulators.awayTeamId = play.teamId;
    countOne(away, play, step);
  }
}

function countOne(totals: WindowAccumulator, play: PlayEvent, step: 1 | -1): void {
  if (step === 1) teamWindowAggregate.add(totals, play, play.teamId);
  else teamWindowAggregate.remove(totals, play, play.teamId);
}

function record(
  gameId: string,
  side: Side,
  { startMs, endMs }: TimeWindow,
  accumulators: TeamWindowAccumulators,
): InsightRecord {
  const home = side === Side.HOME;
  const totals = (home ? accumulators.home : accumulators.away) ?? teamWindowAggregate.create();
  const plays = home ? accumulators.homePlays : accumulators.awayPlays;
  const knownId = home ? accumulators.homeTeamId : accumulators.awayTeamId;
  const teamId = plays > 0 ? knownId : 0;
  const key = { gameId, teamId, side, startS: startMs / 1000, endS: endMs / 1000 };
  const value = toTeamWindow(key, totals);
  value.revision = accumulators.changes;
  value.retracted = accumulators.plays === 0;
  return create(InsightRecordSchema, { gameId, body: { case: "teamWindow", value } });
}
