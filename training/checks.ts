import { create } from "@bufbuild/protobuf";
import { CourtsideError } from "../base/errors.ts";
import { featureVectorOf } from "../features/mod.ts";
import { GameStateSchema, type GameState } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { outputsOf, type WinModel } from "./win-model.ts";

/** The model says what cannot be; it must not be published. */
export class ImplausibleModelError extends CourtsideError {
  override readonly code = "IMPLAUSIBLE_MODEL";
  override readonly retryable = false;
}

/** Least probability of a side that leads when no time is left. */
const CERTAIN = 0.999;
/** A tie with no time left goes to overtime: neither side may be surer than this. */
const TIE_LIMIT = 0.75;

/**
 * Asks the model about states with known answers: a lead at the end decides, a tie does not, and a point more
 * never hurts.
 * @throws ImplausibleModelError naming the state.
 */
export function checkPlausible(model: WinModel): void {
  const ask = (state: GameState): number =>
    outputsOf(
      { win: model.win, calibration: model.calibration, ...treesOf(model) },
      featureVectorOf(state),
      1,
    )["p"]?.[0] ?? Number.NaN;
  for (const period of [4, 5, 7]) {
    for (const gameOver of [true, false]) {
      for (const margin of [1, 2, 10, 40]) {
        const end = { period, clockRemainingS: 0, gameOver };
        expectThat(ask(stateOf({ ...end, margin })) >= CERTAIN, "a lead decides", end, margin);
        expectThat(
          ask(stateOf({ ...end, margin: -margin })) <= 1 - CERTAIN,
          "a lead decides",
          end,
          -margin,
        );
      }
    }
    const tied = ask(stateOf({ period, clockRemainingS: 0, gameOver: false, margin: 0 }));
    expectThat(Math.abs(tied - 0.5) <= TIE_LIMIT - 0.5, "a tie is open", { period }, 0);
  }
  for (const moment of moments()) {
    let before = 0;
    for (let margin = -60; margin <= 60; margin += 1) {
      const p = ask(stateOf({ ...moment, margin }));
      expectThat(p >= before, "a point more never hurts", moment, margin);
      before = p;
    }
  }
}

function treesOf({ trees }: WinModel): Pick<WinModel, "trees"> {
  return trees === undefined ? {} : { trees };
}

interface Moment {
  readonly period: number;
  readonly clockRemainingS: number;
  readonly gameOver: boolean;
}

function* moments(): Iterable<Moment> {
  for (let period = 1; period <= 6; period += 1) {
    for (const clockRemainingS of [0, 0.1, 1, 5, 30, 60, 120, 300, 720]) {
      if (period <= 4 || clockRemainingS <= 300) yield { period, clockRemainingS, gameOver: false };
    }
  }
}

function stateOf({ margin, ...moment }: Moment & { readonly margin: number }): GameState {
  return create(GameStateSchema, {
    ...moment,
    gameId: "check",
    homeTeam: "HOM",
    awayTeam: "AWY",
    homeScore: 100 + margin,
    awayScore: 100,
    possession: Side.NONE,
    homePregameWinProb: 0.6,
    closingSpreadHome: 3,
  });
}

function expectThat(holds: boolean, rule: string, moment: object, margin: number): void {
  if (holds) return;
  throw new ImplausibleModelError(
    `the model breaks "${rule}" at ${JSON.stringify(moment)} with home margin ${margin}; it is not published`,
  );
}
