import path from "node:path";
import { UsageError } from "../../base/errors.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { type ModelCard } from "../../serving/model/card.ts";
import { openRegistry } from "../../serving/model/registry.ts";
import { scoreTable } from "../../training/report.ts";
import { type Command, type CommandContext } from "../command.ts";

export const command: Command = {
  name: "models",
  summary: "list the models, or show the card of one",
  help: `courtside models list
courtside models show [VERSION]

  --models FOLDER    where models are kept (default serving/models of this program)
  --json             print JSON`,
  options: {
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    json: { type: "boolean", default: false },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { values, positionals } = context;
  const [action = "list", version = ""] = positionals;
  if (action !== "list" && action !== "show") {
    throw new UsageError(`models knows list and show; got ${JSON.stringify(action)}`);
  }
  const registry = await openRegistry(String(values["models"]), {
    schemaHash: FEATURE_SCHEMA_HASH,
  });
  try {
    const json = values["json"] === true;
    if (action === "show") {
      const card = registry.card(version);
      context.stdout(json ? `${JSON.stringify(card, null, 2)}\n` : cardText(card));
      return 0;
    }
    const cards = registry.list();
    if (json) context.stdout(`${JSON.stringify(cards, null, 2)}\n`);
    else
      for (const card of cards)
        context.stdout(`${lineOf(card, card === registry.champion.card)}\n`);
    return 0;
  } finally {
    await registry.close();
  }
}

function lineOf(card: ModelCard, champion: boolean): string {
  const brier = card.evaluation.slices[0]?.model["brier"]?.toFixed(4) ?? "-";
  const { season } = card.evaluation;
  return `${card.version}  ${card.name}  Brier ${brier} on ${season}${champion ? "  champion" : ""}`;
}

function cardText(card: ModelCard): string {
  const { training, evaluation } = card;
  const lines = [
    `${card.name} ${card.version}`,
    `schema      ${card.schemaHash}, ${card.features.length} features`,
    `trained on  ${training.seasons.join(", ")}: ${training.games} games, ${training.rows} rows`,
    `method      ${training.method}; seed ${training.seed}; data ${training.dataSha256}`,
    ...card.terms.map(({ feature, weight }) => `term        ${feature} ${weight.toPrecision(5)}`),
    ...card.limits.map((limit) => `limit       ${limit}`),
    `judged on   ${evaluation.season}: ${evaluation.games} games, ${evaluation.rows} rows`,
  ];
  return `${lines.join("\n")}\n${scoreTable(evaluation.slices)}`;
}
