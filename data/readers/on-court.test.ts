import { expect, test } from "vitest";
import { Feed, type PlayEvent, PlayKind, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { newPlay } from "./draft.ts";
import { setLineUps } from "./on-court.ts";

function home(fields: Partial<PlayEvent>): PlayEvent {
  const play = newPlay("0023100002", Feed.CDN_LIVE);
  return Object.assign(play, { period: 1, clockRemainingDs: 6000, side: Side.HOME, ...fields });
}

function out(playerOutId: number, playerInId = 0, period = 1): PlayEvent {
  return home({ kind: PlayKind.SUBSTITUTION, playerOutId, playerInId, period });
}

function acts(actorId: number, period = 1): PlayEvent {
  return home({ kind: PlayKind.REBOUND, actorId, period });
}

const STARTERS = new Map([[Side.HOME, [1, 2, 3, 4, 5]]]);

test("a change in two rows holds in either order, and the five before it until it is complete", () => {
  const plays = [acts(1), out(0, 6), out(1), out(2), out(0, 7), acts(6)];
  setLineUps(plays, { starters: STARTERS, changesAtBreaks: true });
  expect(plays.map((play) => play.homeOnCourtIds)).toEqual([
    [1, 2, 3, 4, 5],
    [1, 2, 3, 4, 5],
    [2, 3, 4, 5, 6],
    [2, 3, 4, 5, 6],
    [3, 4, 5, 6, 7],
    [3, 4, 5, 6, 7],
  ]);
});

test("a change of which one row never comes leaves the five unknown once the clock runs on", () => {
  const later = home({ kind: PlayKind.REBOUND, actorId: 2, clockRemainingDs: 5900 });
  const plays = [acts(1), out(1), acts(2), later];
  setLineUps(plays, { starters: STARTERS, changesAtBreaks: true });
  expect(plays.map((play) => play.homeOnCourtIds.length)).toEqual([5, 5, 5, 0]);
});

test("starters are who acts or leaves before he is put in", () => {
  const plays = [acts(1), out(2, 6), acts(6), acts(3), acts(4), out(6, 2), acts(5)];
  setLineUps(plays, { changesAtBreaks: false });
  expect(plays[0]?.homeOnCourtIds).toEqual([1, 2, 3, 4, 5]);
  expect(plays[1]?.homeOnCourtIds).toEqual([1, 3, 4, 5, 6]);
  expect(plays.at(-1)?.homeOnCourtIds).toEqual([1, 2, 3, 4, 5]);
});

test("a five that the rows do not tell stays unknown instead of being guessed", () => {
  const plays = [acts(1), acts(2), acts(3), acts(4)];
  setLineUps(plays, { changesAtBreaks: false });
  expect(plays.every((play) => play.homeOnCourtIds.length === 0)).toBe(true);
});

test("who leaves without having been on court ends what is known until the next period", () => {
  const plays = [1, 2, 3, 4, 5].map((id) => acts(id));
  plays.push(out(9), acts(1), ...[1, 2, 3, 4, 5].map((id) => acts(id, 2)));
  setLineUps(plays, { starters: STARTERS, changesAtBreaks: false });
  expect(plays[0]?.homeOnCourtIds).toEqual([1, 2, 3, 4, 5]);
  expect(plays[6]?.homeOnCourtIds).toEqual([]);
  expect(plays.at(-1)?.homeOnCourtIds).toEqual([1, 2, 3, 4, 5]);
});
