import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { UsageError } from "../../base/errors.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { openSource } from "../../data/readers/mod.ts";
import { trainingGames } from "../../training/games.ts";
import { mlflowRecorder, type MlflowRecorder } from "../../training/mlflow.ts";
import { scoreTable } from "../../training/report.ts";
import {
  HELD_OUT_SEASON,
  planSplit,
  TRAINING_SEASONS,
  VALIDATION_SEASON,
} from "../../training/split.ts";
import { planTableSplit, tableGames } from "../../training/table-games.ts";
import { train, type TrainOptions } from "../../training/train.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

export const command: Command = {
  name: "train",
  summary: "fit the win probability model on past seasons and make it the champion",
  help: `courtside train --source ../shared/nba/pbp
courtside train --source pbp --seasons 2021-22,2022-23 --held-out 2023-24 --out /tmp/models

Reads season files (<feed>_<season>_regular.csv.gz), runs every game through the features of the insight job, fits
the model without odds and the one with the closing spread, judges both on the held-out season through their ONNX
files, and writes <out>/<version>/{model.onnx, card.json} and the aliases <out>/champion and <out>/champion-odds.
Nothing is written unless the files agree with the trainer to 1e-6; an interrupted run leaves the folder as it was.

  --source FOLDER     folder of season files
  --clickhouse-url URL  train on what the insight job wrote into this store instead
  --seasons LIST      seasons to train on, separated by commas (default ${TRAINING_SEASONS[0]} to ${TRAINING_SEASONS.at(-1)})
  --held-out SEASON   season to judge on, never trained on (default ${HELD_OUT_SEASON})
  --validation SEASON season on which calibration is chosen (default ${VALIDATION_SEASON}; "" for none)
  --out FOLDER        where models are kept (default serving/models of this program)
  --every N           fit on every N-th play of a game (default 3; neighbours hardly differ)
  --seed N            which plays those are (default 1)
  --trees             also fit boosted trees on top of the model without odds; they become the challenger
  --mlflow URL        also record runs, parameters, metrics and files on an MLflow server (its REST interface 2.0)
  --json              print the model card instead of the table`,
  options: {
    source: { type: "string" },
    "clickhouse-url": { type: "string" },
    mlflow: { type: "string" },
    trees: { type: "boolean", default: false },
    seasons: { type: "string", default: TRAINING_SEASONS.join(",") },
    "held-out": { type: "string", default: HELD_OUT_SEASON },
    validation: { type: "string", default: VALIDATION_SEASON },
    out: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    every: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { values, signal } = context;
  const source = textFlag(values, "source");
  const tables = textFlag(values, "clickhouse-url");
  if ((source === undefined) === (tables === undefined)) {
    throw new UsageError(
      "train needs --source FOLDER, a folder of season files, or --clickhouse-url URL, a store with finished seasons",
    );
  }
  const seasons = String(values["seasons"])
    .split(",")
    .map((season) => season.trim())
    .filter((season) => season !== "");
  const asked = [seasons, String(values["held-out"]), String(values["validation"])] as const;
  const client =
    tables === undefined ? undefined : await openClickHouse(tables, { waitMs: 0, readOnly: true });
  const recorder = recorderOf(textFlag(values, "mlflow"), context);
  const startMs = performance.now();
  try {
    const options: TrainOptions = {
      split:
        client === undefined
          ? await planSplit(source ?? "", ...asked)
          : await planTableSplit(client, ...asked),
      games: (file) =>
        client === undefined ? trainingGames(openSource(file.path)) : tableGames(client, file),
      out: String(values["out"]),
      every: integerFlag(values, "every", { min: 1, max: 1_000 }) ?? 1,
      seed: integerFlag(values, "seed", { min: 0, max: 2 ** 31 }) ?? 0,
      trees: values["trees"] === true,
      code: await codeRevision(),
      progress(line) {
        signal.throwIfAborted();
        const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
        context.stderr(`${seconds.padStart(4)} s  ${line}\n`);
      },
    };
    const cards = await train(options);
    for (const card of cards) await recorder?.record(card, path.join(options.out, card.version));
    if (values["json"] === true) context.stdout(`${JSON.stringify(cards, null, 2)}\n`);
    else {
      for (const card of cards) {
        context.stdout(
          `${card.name} ${card.basis} ${card.version}, judged on ${card.evaluation.season}\n`,
        );
        context.stdout(scoreTable(card.evaluation.slices));
      }
    }
    return 0;
  } finally {
    await client?.close();
  }
}

function recorderOf(url: string | undefined, context: CommandContext): MlflowRecorder | undefined {
  if (url === undefined) return undefined;
  return mlflowRecorder(url, {
    experiment: "courtside",
    say: (line) => context.stderr(`${line}\n`),
  });
}

/** Commit of this checkout, with a mark when files differ from it; empty outside of one. */
async function codeRevision(): Promise<string> {
  const git = async (...args: string[]): Promise<string> => {
    const cwd = import.meta.dirname;
    return (await promisify(execFile)("git", args, { cwd })).stdout.trim();
  };
  try {
    const commit = await git("rev-parse", "--short=12", "HEAD");
    const changed = await git("status", "--porcelain", "--untracked-files=no");
    return changed === "" ? commit : `${commit}+changes`;
  } catch {
    // An installed copy, or a machine without git: the card then has no revision.
    return "";
  }
}
