import path from "node:path";
import { UsageError } from "../../base/errors.ts";
import { openSource } from "../../data/readers/mod.ts";
import { FEATURE_SCHEMA_HASH, FEATURES } from "../../features/mod.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { collect } from "../../training/dataset.ts";
import { evaluate, scoreBaseline } from "../../training/evaluate.ts";
import { trainingGames } from "../../training/games.ts";
import { scoreTable } from "../../training/report.ts";
import { type Command, type CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

export const command: Command = {
  name: "evaluate",
  summary: "score recorded games with a model and compare with how they ended",
  help: `courtside evaluate --source ../shared/nba/pbp/v3_2023-24_regular.csv.gz
courtside evaluate --source FILE --json

Runs every play through the features of the insight job and the model's ONNX file. The baseline is a logistic
regression on score and time alone, from the model card.

  --source PATH      season file or folder of game files
  --games N          only the first N games
  --model VERSION    model to judge (default the champion)
  --models FOLDER    where models are kept (default serving/models of this program)
  --json             print one JSON object instead of the table`,
  options: {
    source: { type: "string" },
    games: { type: "string" },
    model: { type: "string", default: "" },
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    json: { type: "boolean", default: false },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { values, signal } = context;
  const source = values["source"];
  if (typeof source !== "string") throw new UsageError("evaluate needs --source PATH");
  const registry = await openRegistry(String(values["models"]), {
    schemaHash: FEATURE_SCHEMA_HASH,
  });
  try {
    const { card, onnx } = await registry.get(String(values["model"]));
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
    const scores = await onnx.score(data.values, data.rows);
    const { weights, bias } = card.baseline;
    const baseline = scoreBaseline({ weights: Float64Array.from(weights), bias }, data);
    const slices = evaluate(data, scores, baseline);
    const what = { model: card.version, source, games: data.games, rows: data.rows };
    if (values["json"] === true)
      context.stdout(`${JSON.stringify({ ...what, slices }, null, 2)}\n`);
    else {
      context.stdout(
        `model ${card.version} on ${data.games} games, ${data.rows} plays of ${source}\n`,
      );
      context.stdout(scoreTable(slices));
    }
    return 0;
  } finally {
    await registry.close();
  }
}

/** Games between two lines of progress: a few seconds. */
const PROGRESS_GAMES = 200;
