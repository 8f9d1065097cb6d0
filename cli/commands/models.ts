import path from "node:path";
import { UsageError } from "../../base/errors.ts";
import { FEATURE_SCHEMA_HASH } from "../../features/mod.ts";
import { promote, readAliases, rollback } from "../../serving/model/aliases.ts";
import { type ModelCard } from "../../serving/model/card.ts";
import { type ModelRegistry, openRegistry } from "../../serving/model/registry.ts";
import { scoreTable } from "../../training/report.ts";
import { type Command, type CommandContext } from "../command.ts";

export const command: Command = {
  name: "models",
  summary: "list and compare the models, show a card, and choose which one answers",
  help: `courtside models list
courtside models show [VERSION or ALIAS]
courtside models compare VERSION VERSION
courtside models promote VERSION [ALIAS]
courtside models rollback [ALIAS]

Versions are made by training and never change; an alias says which one is in use: champion (answers when no version is
asked for), champion-odds (answers where the closing spread is known) and challenger (scored in the champion's shadow).
promote checks that the version can be loaded before it moves the alias; rollback moves it to what it meant before. A
server that watches the folder follows without a restart.

  --models FOLDER    where models are kept (default serving/models of this program)
  --json             print JSON`,
  options: {
    models: { type: "string", default: path.join(import.meta.dirname, "../../serving/models") },
    json: { type: "boolean", default: false },
  },
  run,
};

const ACTIONS = ["list", "show", "compare", "promote", "rollback"] as const;
const CHAMPION = "champion";

async function run(context: CommandContext): Promise<number> {
  const { values, positionals } = context;
  const [action = "list", first = "", second = ""] = positionals;
  const folder = String(values["models"]);
  // Without a registry: a champion that cannot be loaded must not keep anyone from going back.
  if (action === "rollback") {
    const alias = first === "" ? CHAMPION : first;
    const version = await rollback(folder, alias);
    return say(context, { alias, version }, `${alias} is ${version} again\n`);
  }
  if (!(ACTIONS as readonly string[]).includes(action)) {
    throw new UsageError(`models knows ${ACTIONS.join(", ")}; got ${JSON.stringify(action)}`);
  }
  const registry = await openRegistry(folder, { schemaHash: FEATURE_SCHEMA_HASH });
  try {
    const aliases = await readAliases(folder);
    const card = (name: string): ModelCard => registry.card(aliases.get(name) ?? name);
    switch (action as (typeof ACTIONS)[number]) {
      case "show":
        return say(context, card(first), cardText(card(first)));
      case "compare":
        if (first === "" || second === "") throw new UsageError("compare needs two versions");
        return say(
          context,
          [card(first), card(second)].map(({ version, evaluation }) => ({ version, evaluation })),
          comparisonText(card(first), card(second)),
        );
      case "promote":
        return await promoted(context, folder, registry, [first, second]);
      default: {
        const cards = registry.list();
        const text = cards.map((one) => `${lineOf(one, aliases)}\n`).join("");
        return say(context, cards, text);
      }
    }
  } finally {
    await registry.close();
  }
}

function say(context: CommandContext, json: unknown, text: string): number {
  const isJson = context.values["json"] === true;
  context.stdout(isJson ? `${JSON.stringify(json, null, 2)}\n` : text);
  return 0;
}

async function promoted(
  context: CommandContext,
  folder: string,
  registry: ModelRegistry,
  [version, alias]: readonly [string, string],
): Promise<number> {
  if (version === "") throw new UsageError("promote needs a version; see `courtside models list`");
  const { card } = await registry.get(version);
  const target = alias === "" ? defaultAlias(card) : alias;
  if ((target === "champion-odds") !== (card.basis === "odds") && target !== "challenger") {
    throw new UsageError(
      `${version} is a model ${card.basis === "odds" ? "with" : "without"} odds: it cannot be ${target}`,
    );
  }
  await promote(folder, target, card.version);
  return say(
    context,
    { alias: target, version: card.version },
    `${target} is ${card.version} now\n`,
  );
}

function defaultAlias({ basis }: ModelCard): string {
  return basis === "odds" ? "champion-odds" : CHAMPION;
}

function lineOf(card: ModelCard, aliases: ReadonlyMap<string, string>): string {
  const brier = card.evaluation.slices[0]?.model["brier"]?.toFixed(4) ?? "-";
  const { season } = card.evaluation;
  const names = [...aliases].filter(([, version]) => version === card.version);
  const uses = names.map(([alias]) => `  ${alias}`).join("");
  return `${card.version}  ${card.name}  ${card.basis ?? "no-odds"}  Brier ${brier} on ${season}${uses}`;
}

function comparisonText(a: ModelCard, b: ModelCard): string {
  const lines = [
    `${a.version} (${a.basis ?? "no-odds"}) and ${b.version} (${b.basis ?? "no-odds"}), Brier on ` +
      `${a.evaluation.season} and ${b.evaluation.season}`,
  ];
  for (const { slice, rows, model } of a.evaluation.slices) {
    const other = b.evaluation.slices.find((one) => one.slice === slice);
    const [left, right] = [model["brier"], other?.model["brier"]];
    if (left === undefined || right === undefined) continue;
    const gap = right - left;
    lines.push(
      `${slice.padEnd(34)}${String(rows).padStart(8)}  ${left.toFixed(4)}  ${right.toFixed(4)}  ${gap < 0 ? "" : "+"}${gap.toFixed(4)}`,
    );
  }
  if (a.evaluation.rows !== b.evaluation.rows) {
    lines.push("judged on different plays: `courtside evaluate` compares on the same ones");
  }
  return `${lines.join("\n")}\n`;
}

function cardText(card: ModelCard): string {
  const { training, evaluation, interval, run: scoringRun } = card;
  const lines = [
    `${card.name} ${card.version} (${card.basis ?? "no-odds"})`,
    `schema      ${card.schemaHash}, ${card.features.length} features`,
    `trained on  ${training.seasons.join(", ")}: ${training.games} games, ${training.rows} rows`,
    `method      ${training.method}; seed ${training.seed}; data ${training.dataSha256}`,
    ...(training.code === undefined ? [] : [`code        ${training.code}`]),
    ...card.terms.map(({ feature, weight }) => `term        ${feature} ${weight.toPrecision(5)}`),
    ...(interval === undefined
      ? []
      : [
          `interval    covers ${interval.coverage}, measured ${interval.measured.toFixed(3)}: ${interval.meaning}`,
        ]),
    ...(scoringRun === undefined
      ? []
      : [
          `run         ${scoringRun.definition}; base rate ${scoringRun.baseRateHome.toFixed(4)} home, ${scoringRun.baseRateAway.toFixed(4)} away`,
        ]),
    ...card.limits.map((limit) => `limit       ${limit}`),
    `judged on   ${evaluation.season}: ${evaluation.games} games, ${evaluation.rows} rows`,
  ];
  return `${lines.join("\n")}\n${scoreTable(evaluation.slices)}`;
}
