import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { UsageError } from "../../base/errors.ts";
import { openSource } from "../../data/readers/mod.ts";
import { scoreTable } from "../../training/report.ts";
import {
  HELD_OUT_SEASON,
  planSplit,
  TRAINING_SEASONS,
  VALIDATION_SEASON,
} from "../../training/split.ts";
import { train } from "../../training/train.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

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
  --seasons LIST      seasons to train on, separated by commas (default ${TRAINING_SEASONS[0]} to ${TRAINING_SEASONS.at(-1)})
  --held-out SEASON   season to judge on, never trained on (default ${HELD_OUT_SEASON})
  --validation SEASON season on which calibration is chosen (default ${VALIDATION_SEASON}; "" for none)
  --out FOLDER        where models are kept (default serving/models of this program)
  --every N           fit on every N-th play of a game (default 3; neighbours hardly differ)
  --seed N            which plays those are (default 1)
  --json              print the model card instead of the table`,
  options: {
    source: { type: "string" },
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
  const source = values["source"];
  if (typeof source !== "string") {
    throw new UsageError("train needs --source FOLDER, a folder of season files");
  }
  const seasons = String(values["seasons"])
    .split(",")
    .map((season) => season.trim())
    .filter((season) => season !== "");
  const cards = await train({
    split: await planSplit(
      source,
      seasons,
      String(values["held-out"]),
      String(values["validation"]),
    ),
    open: (file) => openSource(file),
    out: String(values["out"]),
    every: integerFlag(values, "every", { min: 1, max: 1_000 }) ?? 1,
    seed: integerFlag(values, "seed", { min: 0, max: 2 ** 31 }) ?? 0,
    code: await codeRevision(),
    progress(line) {
      signal.throwIfAborted();
      context.stderr(`${line}\n`);
    },
  });
  if (values["json"] === true) context.stdout(`${JSON.stringify(cards, null, 2)}\n`);
  else {
    for (const card of cards) {
      context.stdout(`${card.basis} ${card.version}, judged on ${card.evaluation.season}\n`);
      context.stdout(scoreTable(card.evaluation.slices));
    }
  }
  return 0;
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
