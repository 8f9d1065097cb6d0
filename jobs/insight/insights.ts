import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Position } from "../../operators/mod.ts";
import {
  type Insight,
  InsightSchema,
  OutputPositionSchema,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";
import { insightsSubject } from "../../proto/subjects.ts";

export const INSIGHT_JOB = "insight";
/** The job has one stage: its key never changes behind the broker. */
const STAGE = "game";

/** What the page and the other jobs are told of a record: none to three insights, in this order. */
export function insightsOf(record: InsightRecord): Insight[] {
  const { gameId, body } = record;
  switch (body.case) {
    case "gameInfo":
      return [create(InsightSchema, { gameId, body: { case: "gameInfo", value: body.value } })];
    case "teamWindow":
      return [create(InsightSchema, { gameId, body: { case: "teamWindow", value: body.value } })];
    case "play": {
      if (body.value.isSuperseded) return [];
      const { play, state, prediction, loads, result, edition, corrects } = body.value;
      const value = {
        edition,
        corrects,
        ...(play && { play }),
        ...(state && { state }),
        ...(prediction && { prediction }),
      };
      const insights = [create(InsightSchema, { gameId, body: { case: "play", value } })];
      // Lines that a correction changed are as of its play; the page gets them as of now, in a record of their own.
      if (loads.length > 0 && !corrects)
        insights.push(
          create(InsightSchema, { gameId, body: { case: "box", value: { players: loads } } }),
        );
      if (result !== undefined)
        insights.push(create(InsightSchema, { gameId, body: { case: "result", value: result } }));
      return insights;
    }
    case "box":
      return [create(InsightSchema, { gameId, body: { case: "box", value: body.value } })];
    case "windowChange":
    case "mark":
    case undefined:
      return [];
    default:
      return body satisfies never;
  }
}

/** Where an output lies that is in the stream; undefined for bytes that are none. */
export function positionOfInsight(data: Uint8Array): Position | undefined {
  const { position } = fromBinary(InsightSchema, data);
  if (position === undefined) return undefined;
  const { keyGroup, inputSequence, index } = position;
  return { keyGroup, inputSequence: Number(inputSequence), index };
}

/** An insight as a message, with the position that lets readers refuse it when it comes again. */
export function encodeInsight(
  insight: Insight,
  { keyGroup, inputSequence, index }: Position,
  epoch: number,
): { subject: string; data: Uint8Array } {
  insight.position = create(OutputPositionSchema, {
    job: INSIGHT_JOB,
    stage: STAGE,
    keyGroup,
    inputSequence: BigInt(inputSequence),
    index,
    epoch: BigInt(epoch),
  });
  return {
    subject: insightsSubject(keyGroup, insight.gameId),
    data: toBinary(InsightSchema, insight),
  };
}
