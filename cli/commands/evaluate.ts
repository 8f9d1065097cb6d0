import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../../base/errors.ts";
import { type PublishedPredictor, readPredictors } from "../../data/predictions.ts";
import { openSource } from "../../data/readers/mod.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../../features/mod.ts";
import {
  type LoadedModel,
  type ModelRegistry,
  openRegistry,
} from "../../serving/model/registry.ts";
import { readAliases } from "../../serving/model/aliases.ts";
import { estimateText } from "../../training/bootstrap.ts";
import { collect, type Dataset } from "../../training/dataset.ts";
import { trainingGames } from "../../training/games.ts";
import { judge, type Judgement } from "../../training/judge.ts";
import { judgementPage, reliabilityPicture } from "../../training/report-page.ts";
import { scoreTable } from "../../training/report.ts";
import { selected } from "../../training/select.ts";
import { gamesWith } from "../../training/win-fit.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

export const command: Command = {
  name: "evaluate",
  summary:
    "score recorded games with the models and compare with how they ended and what others said",
  help: `courtside evaluate --source ../shared/nba/pbp/v3_2023-24_regular.csv.gz
courtside evaluate --source DIR --json
courtside evaluate --source FILE --report docs/MODEL.md

Runs every play through the features of the insight job and the models' ONNX files: the champion on all games, and
champion-odds on the games whose closing spread is known. Compares with a logistic regression on score and time alone
(from the model card), with the odds before the game, and with published probabilities of the same games. Tables of
results, odds and predictions are looked for in the folder of the source and in games, odds and predictions inside or
beside it; ratings come from the games themselves in the order of their dates.

  --source PATH         season file, folder of game files, or data folder with pbp inside
  --games N             only the first N games
  --model VERSION       judge this version or alias alone
  --models FOLDER       where models are kept (default serving/models of this program)
  --predictions FOLDER  published probabilities (default predictions beside the source)
  --report FILE         also write everything as Markdown behind what the file has up to its line "<!-- measured -->",
                        and a picture of the calibration to images/ beside it
  --json                print one JSON object instead of the tables`,
  options: {
    source: { type: "string" },
    games: { type: "string" },
    model: { type: "string", default: "" },
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    predictions: { type: "string" },
    report: { type: "string" },
    json: { type: "boolean", default: false },
  },
  run,
};

/** Games between two lines of progress: a few seconds. */
const PROGRESS_GAMES = 200;

async function run(context: CommandContext): Promise<number> {
  const { values, signal } = context;
  const source = values["source"];
  if (typeof source !== "string") throw new UsageError("evaluate needs --source PATH");
  const folder = String(values["models"]);
  const registry = await openRegistry(folder, { schemaHash: FEATURE_SCHEMA_HASH });
  try {
    const models = await modelsToJudge(registry, folder, String(values["model"]));
    const games = integerFlag(values, "games", { min: 1, max: 1_000_000 });
    const data = await collect(
      trainingGames(openSource(source, games === undefined ? {} : { games })),
      {
        features: FEATURES.length,
        onGame(done, rows) {
          signal.throwIfAborted();
          if (done % PROGRESS_GAMES === 0) context.stderr(`read ${done} games, ${rows} plays\n`);
        },
      },
    );
    const predictors = await predictorsFor(source, textFlag(values, "predictions"));
    const judgements: Judgement[] = [];
    for (const model of models) {
      signal.throwIfAborted();
      const part = partFor(model, data);
      if (part !== undefined) judgements.push(await judge(model, part, predictors));
      else context.stderr(`no closing spreads: ${model.card.version} is not judged\n`);
    }
    const report = textFlag(values, "report");
    if (report !== undefined) await writeReport(report, source, judgements);
    if (values["json"] === true) {
      const what = { source, games: data.games, rows: data.rows };
      context.stdout(`${JSON.stringify({ ...what, models: judgements }, null, 2)}\n`);
    } else for (const one of judgements) context.stdout(textOf(one, source));
    return 0;
  } finally {
    await registry.close();
  }
}

/** The version that is asked for, else the champion and the one with odds. */
async function modelsToJudge(
  registry: ModelRegistry,
  folder: string,
  asked: string,
): Promise<LoadedModel[]> {
  const aliases = await readAliases(folder);
  if (asked !== "") return [await registry.get(aliases.get(asked) ?? asked)];
  const odds = aliases.get("champion-odds");
  return [await registry.get(""), ...(odds === undefined ? [] : [await registry.get(odds)])];
}

/** The games that a model can score; undefined when there is none. */
function partFor({ card }: LoadedModel, data: Dataset): Dataset | undefined {
  if (card.basis !== "odds") return data;
  const names = FEATURES.map(({ name }) => name);
  const fits = gamesWith(data, names, "odds");
  return data.gameIds.some((_, game) => fits(game)) ? selected(data, fits) : undefined;
}

async function predictorsFor(
  source: string,
  folder: string | undefined,
): Promise<PublishedPredictor[]> {
  if (folder !== undefined) return readPredictors(folder);
  const isFolder = (await stat(source)).isDirectory();
  const base = isFolder ? source : path.dirname(source);
  const inside = await readPredictors(path.join(base, "predictions"));
  return inside.length > 0 ? inside : readPredictors(path.join(base, "../predictions"));
}

function textOf(judgement: Judgement, source: string): string {
  const { version, basis, games, rows, brier, logLoss, slices, comparisons } = judgement;
  const { interval, runs } = judgement;
  const lines = [
    `model ${version} (${basis}) on ${games} games, ${rows} plays of ${source}`,
    `Brier ${estimateText(brier)}, log loss ${estimateText(logLoss)} (95 % by the game bootstrap)`,
    scoreTable(slices).trimEnd(),
    "next to others on the same plays (difference of Brier scores, below 0 is better):",
    ...comparisons.map(
      (one) =>
        `  ${one.other}: ${one.ours.toFixed(4)} against ${one.theirs.toFixed(4)} on ${one.games} games, ` +
        `${one.rows} plays: ${estimateText(one.difference)}`,
    ),
  ];
  if (interval !== undefined) {
    lines.push(
      `interval: states ${interval.stated}, covered ${interval.measured.toFixed(3)} of ${interval.groups} groups`,
    );
  }
  for (const [side, scores] of Object.entries(runs ?? {})) {
    const shown = [
      "baseRate",
      "brier",
      "brierOfBaseRate",
      "auc",
      "precisionAt5",
      "recallAt5",
      "liftAt5",
    ];
    const parts = shown.map((name) => `${name} ${scores[name]?.toFixed(4) ?? "-"}`);
    lines.push(`${side} run: ${parts.join(", ")}`);
  }
  return `${lines.join("\n")}\n\n`;
}

const MARK = "<!-- measured -->";
const PICTURE = "images/reliability.svg";

/** What people wrote stays; everything behind the mark is made anew. */
async function writeReport(
  file: string,
  source: string,
  judgements: readonly Judgement[],
): Promise<void> {
  const old = await readFile(file, "utf8").catch(() => "# The model\n");
  const [written = ""] = old.split(MARK);
  const picture = path.join(path.dirname(file), PICTURE);
  await mkdir(path.dirname(picture), { recursive: true });
  await writeFile(picture, reliabilityPicture(judgements));
  const page = judgementPage(judgements, {
    command: `courtside evaluate --source ${source} --report ${file}`,
    title: path.basename(source),
    picture: PICTURE,
  });
  await writeFile(file, `${written.trimEnd()}\n\n${MARK}\n\n${page}`);
}
