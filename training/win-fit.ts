import { bestCalibration, fitCalibrations, NO_CALIBRATION } from "./calibrate.ts";
import { type Dataset } from "./dataset.ts";
import { fitLogistic } from "./fit.ts";
import { fitHalfWidth } from "./interval.ts";
import { type LogisticModel } from "./onnx/graph.ts";
import { selected } from "./select.ts";
import { designOf, isDecided, ODDS_TERMS, overSchema, WIN_TERMS } from "./terms.ts";
import { folded, logit, type WinModel } from "./win-model.ts";

/** What a model may look at before the game: our own ratings, or the closing spread. */
export type Basis = "no-odds" | "odds";

export const TERMS: Readonly<Record<Basis, readonly string[]>> = {
  "no-odds": WIN_TERMS,
  odds: ODDS_TERMS,
};

export interface WinFit {
  readonly model: WinModel;
  /** How it was made, in one sentence. */
  readonly method: string;
  readonly rows: number;
}

interface FitInput {
  readonly basis: Basis;
  readonly names: readonly string[];
  readonly training: Dataset;
  /** A season that no model was fitted on; the calibration is chosen on it. */
  readonly validation: Dataset | undefined;
  readonly progress: (line: string) => void;
}

/**
 * Fits the winner of a game: a logistic regression, corrected by whichever calibration is best on the validation
 * season, with an interval that covers nine in ten groups of plays of seasons that were left out of the fit.
 */
export function fitWinner({ basis, names, training, validation, progress }: FitInput): WinFit {
  const terms = TERMS[basis];
  const eligible = gamesWith(training, names, basis);
  const fit = (games: (game: number) => boolean): LogisticModel => {
    const design = designOf(training, names, terms, (game) => eligible(game) && games(game));
    return overSchema(fitLogistic(design), names, terms);
  };
  const win = fit(() => true);
  const foldOf = folds(training);
  const unseen = new Float64Array(training.rows);
  for (const fold of new Set(training.gameSeasons.map((_, game) => foldOf(game)))) {
    const other = fit((game) => foldOf(game) !== fold);
    forEachOpenRow(training, (i, game) => {
      if (foldOf(game) === fold) unseen[i] = logit(other, training.values, i * training.features);
    });
  }
  const { calibration, choice } = chooseCalibration(training, unseen, eligible, {
    validation,
    win,
    names,
    basis,
  });
  const band = fitHalfWidth(selected(training, eligible), picked(training, unseen, eligible));
  progress(
    `${basis}: calibration ${calibration.kind} (${choice}); interval of ` +
      `${band.atEnd.toFixed(2)} + ${band.perSqrtShare.toFixed(2)} x sqrt_share_left on the logit`,
  );
  const halfWidth = overSchema(
    { bias: band.atEnd, weights: Float64Array.of(band.perSqrtShare) },
    names,
    ["sqrt_share_left"],
  );
  const rows = designOf(training, names, terms, eligible).rows;
  const method =
    `logistic regression on ${terms.length} terms without a constant by Newton's method, decided games left out; ` +
    `calibration ${calibration.kind} of none, Platt, beta and isotonic, fitted out of season and chosen by log loss ` +
    `on the validation season (${choice})`;
  return { model: folded({ win, calibration, halfWidth }), method, rows };
}

/** True for games whose rows the basis can score. */
export function gamesWith(
  data: Dataset,
  names: readonly string[],
  basis: Basis,
): (game: number) => boolean {
  if (basis === "no-odds") return () => true;
  const flag = names.indexOf("has_closing_spread");
  return (game) => data.values[(data.gameStarts[game] as number) * data.features + flag] === 1;
}

/** Seasons where there are several, else halves. */
function folds(data: Dataset): (game: number) => number {
  const several = new Set(data.gameSeasons).size > 1;
  return (game) => (several ? (data.gameSeasons[game] as number) : game % 2);
}

interface Choice {
  readonly validation: Dataset | undefined;
  readonly win: LogisticModel;
  readonly names: readonly string[];
  readonly basis: Basis;
}

function chooseCalibration(
  training: Dataset,
  unseen: Float64Array,
  eligible: (game: number) => boolean,
  { validation, win, names, basis }: Choice,
): Pick<WinModel, "calibration"> & { readonly choice: string } {
  if (validation === undefined) {
    return { calibration: NO_CALIBRATION, choice: "no validation season" };
  }
  const candidates = fitCalibrations(...open(training, unseen, eligible));
  const logits = new Float64Array(validation.rows);
  forEachOpenRow(validation, (i) => {
    logits[i] = logit(win, validation.values, i * validation.features);
  });
  const { chosen, logLoss } = bestCalibration(
    candidates,
    ...open(validation, logits, gamesWith(validation, names, basis)),
  );
  const choice = [...logLoss].map(([kind, loss]) => `${kind} ${loss.toFixed(5)}`).join(", ");
  return { calibration: chosen, choice };
}

function open(
  data: Dataset,
  logits: Float64Array,
  eligible: (game: number) => boolean,
): [Float64Array, Uint8Array] {
  const rows: number[] = [];
  forEachOpenRow(data, (i, game) => {
    if (eligible(game)) rows.push(i);
  });
  return [
    Float64Array.from(rows, (i) => logits[i] as number),
    Uint8Array.from(rows, (i) => data.homeWon[i] as number),
  ];
}

function forEachOpenRow(data: Dataset, take: (row: number, game: number) => void): void {
  for (let i = 0; i < data.rows; i += 1) {
    if (!isDecided(data, i)) take(i, data.game[i] as number);
  }
}

function picked(
  data: Dataset,
  values: Float64Array,
  eligible: (game: number) => boolean,
): Float64Array {
  const rows = rowsOf(data, eligible);
  return values.filter((_, i) => rows[i] === 1);
}

function rowsOf(data: Dataset, eligible: (game: number) => boolean): Uint8Array {
  return Uint8Array.from(data.game, (game) => Number(eligible(game)));
}
