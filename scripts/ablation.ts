import { openSource } from "../data/readers/mod.ts";
import { FEATURES } from "../features/mod.ts";
import { estimateText, gameBootstrap } from "../training/bootstrap.ts";
import { collect, type Dataset, type TrainingGame } from "../training/dataset.ts";
import { fitLogistic, sigmoid } from "../training/fit.ts";
import { trainingGames } from "../training/games.ts";
import {
  HELD_OUT_SEASON,
  planSplit,
  type SeasonFile,
  TRAINING_SEASONS,
} from "../training/split.ts";
import { designOf, ODDS_TERMS, overSchema, WIN_TERMS } from "../training/terms.ts";
import { logit } from "../training/win-model.ts";

/**
 * What each group of inputs adds, as a Markdown table: fitted on the training seasons, judged on the held-out one, every
 * difference paired on the same plays: `node scripts/ablation.ts ../shared/nba/pbp [held-out season] [seasons to fit on]`.
 */

const [folder = "../shared/nba/pbp", heldOut = HELD_OUT_SEASON, seasons] = process.argv.slice(2);
const EVERY = 4;
const NAMES = FEATURES.map(({ name }) => name);

const SCORE = ["margin_per_sqrt_second", "margin_per_second", "margin_by_share_left"];
const BASE = WIN_TERMS;
const without = (...names: string[]): string[] => BASE.filter((name) => !names.includes(name));

const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  ["score and time alone", SCORE],
  ["without possession", without("possession_per_sqrt_second")],
  [
    "without pre-game strength",
    without("pregame_logit_by_sqrt_share_left", "pregame_logit_by_share_left"),
  ],
  ["strength fading with the root of time alone", without("pregame_logit_by_share_left")],
  ["with fouls and bonus", [...BASE, "team_fouls_diff", "bonus_diff"]],
  ["with time-outs", [...BASE, "timeouts_diff"]],
  ["with the run under way", [...BASE, "current_run"]],
  [
    "with points of the last 2, 5, 10 min",
    [...BASE, "points_diff_last_2_min", "points_diff_last_5_min", "points_diff_last_10_min"],
  ],
  [
    "with shooting and turnovers of the last 10 min",
    [...BASE, "effective_fg_diff_last_10_min", "turnovers_diff_last_10_min"],
  ],
  ["with points per possession", [...BASE, "efficiency_diff"]],
  [
    "with the closing spread instead of ratings",
    ODDS_TERMS.filter((name) => !name.startsWith("pregame")),
  ],
  ["with the closing spread and ratings (champion-odds)", ODDS_TERMS],
];

const split = await planSplit(folder, seasons?.split(",") ?? TRAINING_SEASONS, heldOut);
const training = await collect(games(split.training), {
  features: FEATURES.length,
  every: EVERY,
  seed: 1,
});
const test = await collect(games([split.heldOut]), { features: FEATURES.length });
const champion = losses(BASE);
const rows = Uint32Array.from({ length: test.rows }, (_, i) => i);
const gameOf = (row: number): number => test.game[row] as number;
const lines = [
  `| inputs | Brier on ${heldOut} | difference to the champion without odds |`,
  "| --- | --- | --- |",
  `| champion without odds: ${BASE.length} terms | ${estimateText(gameBootstrap(rows, (i) => champion[i] as number, gameOf))} | |`,
];
for (const [name, terms] of VARIANTS) {
  const own = losses(terms);
  const brier = own.reduce((sum, loss) => sum + loss, 0) / own.length;
  const gap = gameBootstrap(rows, (i) => (own[i] as number) - (champion[i] as number), gameOf);
  lines.push(`| ${name} | ${brier.toFixed(4)} | ${estimateText(gap, 5)} |`);
}
process.stdout.write(`${lines.join("\n")}\n`);

/** Squared errors on the held-out season of a fit with these terms. */
function losses(terms: readonly string[]): Float64Array {
  const model = overSchema(fitLogistic(designOf(training, NAMES, terms)), NAMES, terms);
  const { values, features, homeWon } = test satisfies Dataset;
  return Float64Array.from({ length: test.rows }, (_, i) => {
    const p = sigmoid(logit(model, values, i * features));
    return (p - (homeWon[i] as number)) ** 2;
  });
}

async function* games(files: readonly SeasonFile[]): AsyncIterable<TrainingGame> {
  for (const file of files) yield* trainingGames(openSource(file.path));
}
