import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError, errorText } from "../../base/errors.ts";
import { BadCardError, parseCard, sha256Hex, type ModelCard } from "./card.ts";
import { loadOnnx, type OnnxModel } from "./onnx.ts";

/** A model that is ready to score. */
export interface LoadedModel {
  readonly card: ModelCard;
  readonly onnx: OnnxModel;
}

/** The models of one folder: `<version>/{model.onnx, card.json}` and a file `champion` that holds a version. */
export interface ModelRegistry {
  readonly champion: LoadedModel;
  /** Cards of all versions, the champion first, then by version. */
  list(): readonly ModelCard[];
  /** @throws UnknownModelError */
  card(version: string): ModelCard;
  /**
   * Loads a version when it is asked for first.
   * @param version - empty for the champion.
   * @throws UnknownModelError, SchemaMismatchError, BadCardError, BadOnnxError
   */
  get(version: string): Promise<LoadedModel>;
  close(): Promise<void>;
}

/** There is no champion to serve. */
export class NoModelError extends CourtsideError {
  override readonly code = "NO_MODEL";
  override readonly retryable = false;
}

/** A version that this registry does not have. */
export class UnknownModelError extends CourtsideError {
  override readonly code = "UNKNOWN_MODEL";
  override readonly retryable = false;
}

/** Features of one schema met a model of another. */
export class SchemaMismatchError extends CourtsideError {
  override readonly code = "SCHEMA_MISMATCH";
  override readonly retryable = false;
}

/** The alias file that names the version in use. */
export const CHAMPION_FILE = "champion";
export const ONNX_FILE = "model.onnx";
export const CARD_FILE = "card.json";

/**
 * Reads all cards and loads the champion.
 * @param schemaHash - of the features that this program computes; a champion of another schema is refused.
 * @throws NoModelError, SchemaMismatchError, BadCardError, BadOnnxError
 */
export async function openRegistry(
  folder: string,
  { schemaHash }: { readonly schemaHash: string },
): Promise<ModelRegistry> {
  const championVersion = await readChampion(folder);
  const cards = await readCards(folder);
  const championCard = cards.get(championVersion);
  if (championCard === undefined) {
    throw new NoModelError(
      `${path.join(folder, CHAMPION_FILE)} names version ${championVersion}, which is not in ${folder}; ` +
        `versions there: ${[...cards.keys()].join(", ") || "none"}`,
    );
  }
  const loaded = new Map<string, Promise<LoadedModel>>();
  const load = (card: ModelCard): Promise<LoadedModel> => {
    const known = loaded.get(card.version);
    if (known !== undefined) return known;
    const model = loadModel(folder, card, schemaHash);
    loaded.set(card.version, model);
    // A failed load is tried again at the next request: the file may have been mended.
    model.catch(() => loaded.delete(card.version));
    return model;
  };
  const card = (version: string): ModelCard => {
    const found = version === "" ? championCard : cards.get(version);
    if (found !== undefined) return found;
    throw new UnknownModelError(
      `model_version ${JSON.stringify(version)} is not known; known versions: ${[...cards.keys()].join(", ")}`,
    );
  };
  return {
    champion: await load(championCard),
    list: () => [championCard, ...[...cards.values()].filter((other) => other !== championCard)],
    card,
    get: async (version) => load(card(version)),
    async close() {
      for (const model of loaded.values()) await (await model).onnx.close();
    },
  };
}

async function readChampion(folder: string): Promise<string> {
  const file = path.join(folder, CHAMPION_FILE);
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new NoModelError(
      `no model to serve: ${file} cannot be read (${errorText(error)}); train one with ` +
        "`courtside train --source PATH` or name another folder with --models",
      { cause: error },
    );
  }
}

/** Sorted by version. */
async function readCards(folder: string): Promise<Map<string, ModelCard>> {
  const cards = new Map<string, ModelCard>();
  const entries = await readdir(folder, { withFileTypes: true });
  const versions = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  for (const { name } of versions.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(folder, name, CARD_FILE);
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      throw new BadCardError(`${file} cannot be read: ${errorText(error)}`, { cause: error });
    });
    const card = parseCard(text, file);
    if (card.version !== name) {
      throw new BadCardError(`${file} is the card of version ${card.version}, not of ${name}`);
    }
    cards.set(name, card);
  }
  return cards;
}

async function loadModel(
  folder: string,
  card: ModelCard,
  schemaHash: string,
): Promise<LoadedModel> {
  if (card.schemaHash !== schemaHash) {
    throw new SchemaMismatchError(
      `model ${card.version} was trained on feature schema ${card.schemaHash}, this program computes ` +
        `${schemaHash}; train again with \`courtside train\``,
    );
  }
  const file = path.join(folder, card.version, ONNX_FILE);
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new BadCardError(`${file} cannot be read: ${errorText(error)}`, { cause: error });
  });
  if (sha256Hex(bytes) !== card.onnxSha256) {
    throw new BadCardError(`${file} is not the file that its card describes (SHA-256 differs)`);
  }
  const onnx = await loadOnnx(bytes);
  const said = { version: card.version, schema_hash: card.schemaHash };
  for (const [key, expected] of Object.entries(said)) {
    const found = onnx.metadata.get(key);
    if (found !== expected) {
      throw new BadCardError(`${file} says ${key} ${String(found)}, its card says ${expected}`);
    }
  }
  if (onnx.features !== card.features.length) {
    throw new BadCardError(
      `${file} takes ${onnx.features} features, its card lists ${card.features.length}`,
    );
  }
  return { card, onnx };
}
