import { create } from "@bufbuild/protobuf";
import { CourtsideError } from "../../base/errors.ts";
import { featureVectorOf } from "../../features/mod.ts";
import { GameStateSchema, type GameState } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  ContributionSchema,
  ExplanationSchema,
  type Contribution,
  type Explanation,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";
import { type ModelCard } from "../model/card.ts";

/** The model is no sum of its features, so that nothing can be said of one of them. */
export class NoExplanationError extends CourtsideError {
  override readonly code = "NO_EXPLANATION";
  override readonly retryable = false;
}

/** Name of the first contribution: what the model thinks at tip-off beyond the pre-game value. */
export const TIP_OFF = "tip_off";
const PREGAME_FEATURE = "pregame_logit";
/** A float32 probability nearer to 0 or 1 is no longer told from it. */
const CERTAINTY = 1e-7;
/** Contributions that are no more than rounding. */
const NEGLIGIBLE = 1e-12;
/**
 * Difference between the sum as a probability and the model's own answer from which on the
 * weights of the card are not those of the model: float32 is off by 6e-8.
 */
const MAX_MISFIT = 1e-5;

/** The same game before its first play: what was known then, and nothing of what happened since. */
export function tipOffVectorOf(state: GameState): Float32Array {
  const known = Object.entries(state).filter(([name]) => PREGAME_FIELDS.has(name));
  const tipOff = create(GameStateSchema, {
    homeScore: 0,
    awayScore: 0,
    period: 1,
    clockRemainingS: 720,
    possession: Side.NONE,
  });
  Object.assign(tipOff, Object.fromEntries(known));
  return featureVectorOf(tipOff);
}

/** Fields of a state that are known before the game: names, pre-game strength, and the numbers kept for more of it. */
const PREGAME_NUMBERS: ReadonlySet<number> = new Set([1, 2, 3, 9, 10, 11]);
const FIRST_STRENGTH_NUMBER = 40;
const LAST_STRENGTH_NUMBER = 49;
const PREGAME_FIELDS: ReadonlySet<string> = new Set(
  GameStateSchema.fields
    .filter(({ number }) => PREGAME_NUMBERS.has(number) || isStrength(number))
    .map(({ localName }) => localName),
);

function isStrength(fieldNumber: number): boolean {
  return fieldNumber >= FIRST_STRENGTH_NUMBER && fieldNumber <= LAST_STRENGTH_NUMBER;
}

/**
 * Contributions of the features between tip-off and now. The model is linear on the log odds, so that a feature's
 * Shapley value is its weight times what it changed by.
 * @param vector - of the state now, and `tipOff` that of {@link tipOffVectorOf}.
 * @param probs - what the model says of both.
 * @throws NoExplanationError when the model is not the sum that its card lists.
 */
export function explain(
  card: ModelCard,
  { vector, tipOff }: { readonly vector: Float32Array; readonly tipOff: Float32Array },
  probs: { readonly now: number; readonly tipOff: number },
): Explanation {
  const index = new Map(card.features.map(({ name }, i) => [name, i]));
  const pregameLogOdds = tipOff[index.get(PREGAME_FEATURE) ?? -1] ?? 0;
  const tipOffLogOdds = logOdds(probs.tipOff);
  const changes: Contribution[] = [];
  let sum = tipOffLogOdds;
  for (const { feature, weight } of card.terms) {
    const i = index.get(feature) ?? -1;
    const [value = 0, tipOffValue = 0] = [vector[i], tipOff[i]];
    const added = weight * (value - tipOffValue);
    sum += added;
    if (Math.abs(added) <= NEGLIGIBLE) continue;
    changes.push(create(ContributionSchema, { feature, value, tipOffValue, logOdds: added }));
  }
  const misfit = Math.abs(1 / (1 + Math.exp(-sum)) - probs.now);
  if (card.terms.length === 0 || misfit > MAX_MISFIT) {
    const message = `model ${card.version} is no sum of its features; ask without explain, or a model that is`;
    throw new NoExplanationError(message);
  }
  changes.sort((a, b) => Math.abs(b.logOdds) - Math.abs(a.logOdds));
  const first = create(ContributionSchema, {
    feature: TIP_OFF,
    value: pregameLogOdds,
    tipOffValue: pregameLogOdds,
    logOdds: tipOffLogOdds - pregameLogOdds,
  });
  return create(ExplanationSchema, {
    pregameWinProb: 1 / (1 + Math.exp(-pregameLogOdds)),
    pregameLogOdds,
    logOdds: sum,
    contributions: [first, ...changes],
  });
}

function logOdds(p: number): number {
  const bounded = Math.min(1 - CERTAINTY, Math.max(CERTAINTY, p));
  return Math.log(bounded / (1 - bounded));
}
