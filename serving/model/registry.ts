import { CourtsideError, errorText } from "../../base/errors.ts";
import { silentLog, type Log } from "../../base/log.ts";
import { type ModelCard } from "./card.ts";
import { loadCard, loadModel, type LoadedModel, type LoadOptions } from "./load.ts";
import { CHAMPION_FILE, folderStore, type ModelStore } from "./store.ts";

export { type LoadedModel, SchemaMismatchError } from "./load.ts";
export { CARD_FILE, CHAMPION_FILE, ONNX_FILE } from "./store.ts";

/** The models of one store. What aliases name is loaded and follows the store; the rest is loaded when asked for. */
export interface ModelRegistry {
  /** Changes when the store's alias does. */
  readonly champion: LoadedModel;
  /** The model that an alias names, loaded; undefined when there is no such alias or its model was refused. */
  alias(name: string): LoadedModel | undefined;
  /** Cards of all versions, the champion first, then by version. */
  list(): readonly ModelCard[];
  /** @throws UnknownModelError */
  card(versionOrAlias: string): ModelCard;
  /** Names that stand for a version, sorted. */
  aliasesOf(version: string): readonly string[];
  /** Why the last attempt to load a version or an alias failed. */
  refusal(version: string): string | undefined;
  /**
   * Loads a version when it is asked for first.
   * @param versionOrAlias - empty for the champion.
   * @throws UnknownModelError, SchemaMismatchError, BadCardError, BadOnnxError, ParityFailedError
   */
  get(versionOrAlias: string): Promise<LoadedModel>;
  /** Holds a model for as long as work with it is under way: one that was swapped out closes behind it. */
  use<T>(model: LoadedModel, work: () => Promise<T>): Promise<T>;
  /** Follows the store until the registry is closed; a model that is refused leaves the one before in place. */
  watch(): Promise<void>;
  /** Looks at the store now. @returns when what changed is loaded and swapped, or refused. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** There is no champion to serve. */
export class NoModelError extends CourtsideError {
  override readonly code = "NO_MODEL";
  override readonly retryable = false;
}

/** A version or alias that this registry does not have. */
export class UnknownModelError extends CourtsideError {
  override readonly code = "UNKNOWN_MODEL";
  override readonly retryable = false;
}

export interface RegistryOptions extends LoadOptions {
  readonly log?: Log;
}

/** A call that has chosen its model begins to use it within the same turn of the event loop, or the next. */
const RETIRE_AFTER_MS = 1_000;
/** A file that was refused is looked at again: it may have been half copied. */
const RETRY_REFUSED_MS = 10_000;
/** Models that no alias names and that stay loaded: a few versions side by side in a comparison. */
const MAX_LOADED_BY_VERSION = 8;

/**
 * Reads all cards and loads what the aliases name.
 * @param where - a folder, or any other store.
 * @throws NoModelError, SchemaMismatchError, BadCardError, BadOnnxError, ParityFailedError
 */
export async function openRegistry(
  where: string | ModelStore,
  options: RegistryOptions,
): Promise<ModelRegistry> {
  const registry = new Registry(
    typeof where === "string" ? folderStore(where) : where,
    options,
    options.log ?? silentLog,
  );
  await registry.open();
  return registry;
}

class Registry implements ModelRegistry {
  readonly #store: ModelStore;
  readonly #options: LoadOptions;
  readonly #log: Log;
  /** By version. */
  #cards = new Map<string, ModelCard>();
  /** By alias. */
  #named = new Map<string, string>();
  readonly #active = new Map<string, LoadedModel>();
  /** By version: asked for by name, the latest last. */
  readonly #loaded = new Map<string, Promise<LoadedModel>>();
  readonly #refusals = new Map<string, string>();
  /** When a version was refused, `performance.now()`. */
  readonly #refusedMs = new Map<string, number>();
  readonly #users = new Map<LoadedModel, number>();
  /** Swapped out and still loaded; true once nobody can be about to use it any more. */
  readonly #retired = new Map<LoadedModel, boolean>();
  #refreshing: Promise<void> = Promise.resolve();
  #unwatch: (() => Promise<void>) | undefined;
  #isClosed = false;

  constructor(store: ModelStore, options: LoadOptions, log: Log) {
    this.#store = store;
    this.#options = options;
    this.#log = log;
  }

  async open(): Promise<void> {
    const { place } = this.#store;
    const how =
      "train one with `courtside train --source PATH` or name another folder with --models";
    const aliases = await this.#store.aliases().catch((error: unknown) => {
      const message = `no model to serve: ${place} cannot be read (${errorText(error)}); ${how}`;
      throw new NoModelError(message, { cause: error });
    });
    const version = aliases.get(CHAMPION_FILE);
    if (version === undefined) {
      throw new NoModelError(`no model to serve: ${place} names no ${CHAMPION_FILE}; ${how}`);
    }
    const versions = await this.#store.versions();
    if (!versions.includes(version)) {
      throw new NoModelError(
        `${place}/${CHAMPION_FILE} names version ${version}, which is not in ${place}; ` +
          `versions there: ${versions.join(", ") || "none"}`,
      );
    }
    const card = await loadCard(this.#store, version);
    this.#active.set(CHAMPION_FILE, await loadModel(this.#store, card, this.#options));
    await this.refresh();
  }

  get champion(): LoadedModel {
    const champion = this.#active.get(CHAMPION_FILE);
    if (champion === undefined) throw new NoModelError("the registry is not open");
    return champion;
  }

  alias(name: string): LoadedModel | undefined {
    return this.#active.get(name);
  }

  list(): readonly ModelCard[] {
    const champion = this.champion.card;
    const others = [...this.#cards.values()].filter(({ version }) => version !== champion.version);
    return [champion, ...others];
  }

  card(versionOrAlias: string): ModelCard {
    const active = this.#active.get(versionOrAlias === "" ? CHAMPION_FILE : versionOrAlias);
    const found = active?.card ?? this.#cards.get(versionOrAlias);
    if (found !== undefined) return found;
    const known = [...this.#active.keys(), ...this.#cards.keys()].join(", ");
    throw new UnknownModelError(
      `model_version ${JSON.stringify(versionOrAlias)} is not known; known versions and aliases: ${known}`,
    );
  }

  aliasesOf(version: string): readonly string[] {
    const named = [...this.#active].filter(([, model]) => model.card.version === version);
    return named.map(([alias]) => alias).toSorted();
  }

  refusal(version: string): string | undefined {
    return this.#refusals.get(version);
  }

  async get(versionOrAlias: string): Promise<LoadedModel> {
    const active = this.#active.get(versionOrAlias === "" ? CHAMPION_FILE : versionOrAlias);
    if (active !== undefined) return active;
    const card = this.card(versionOrAlias);
    for (const model of this.#active.values())
      if (model.card.version === card.version) return model;
    const known = this.#loaded.get(card.version);
    if (known !== undefined) {
      this.#loaded.delete(card.version);
      this.#loaded.set(card.version, known);
      return known;
    }
    const model = loadModel(this.#store, card, this.#options);
    this.#loaded.set(card.version, model);
    // A failed load is tried again at the next request: the file may have been mended.
    model.catch(() => this.#loaded.delete(card.version));
    await this.#dropOldest();
    return model;
  }

  async use<T>(model: LoadedModel, work: () => Promise<T>): Promise<T> {
    this.#users.set(model, (this.#users.get(model) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#users.get(model) ?? 1) - 1;
      if (left > 0) this.#users.set(model, left);
      else {
        this.#users.delete(model);
        await this.#closeIfIdle(model);
      }
    }
  }

  async watch(): Promise<void> {
    const look = (): void => {
      this.refresh().catch((error: unknown) => {
        this.#log.error("the models cannot be looked at; those that are loaded stay", error);
      });
    };
    this.#unwatch = await this.#store.watch(look);
  }

  refresh(): Promise<void> {
    const next = this.#refreshing.then(() => this.#look());
    // One after the other; one that fails does not keep the next from trying.
    this.#refreshing = next.catch(() => {});
    return next;
  }

  async #look(): Promise<void> {
    if (this.#isClosed) return;
    const [versions, aliases] = [await this.#store.versions(), await this.#store.aliases()];
    const cards = new Map<string, ModelCard>();
    for (const version of versions) {
      const card = this.#cards.get(version) ?? (await this.#readCard(version));
      if (card !== undefined) cards.set(version, card);
    }
    this.#cards = cards;
    for (const alias of this.#active.keys()) {
      // Without a champion there is nothing to serve: the last one stays.
      if (!aliases.has(alias) && alias !== CHAMPION_FILE) this.#swap(alias, undefined);
    }
    for (const [alias, version] of aliases) await this.#follow(alias, version);
    this.#named = new Map(aliases);
  }

  async #readCard(version: string): Promise<ModelCard | undefined> {
    try {
      const card = await loadCard(this.#store, version);
      this.#refusals.delete(version);
      return card;
    } catch (error) {
      this.#refuse(version, error);
      return undefined;
    }
  }

  /** Loads, checks and warms up what an alias names now, and only then lets it take over. */
  async #follow(alias: string, version: string): Promise<void> {
    const current = this.#active.get(alias);
    if (current?.card.version === version) return;
    const card = this.#cards.get(version);
    if (card === undefined) {
      // A version that is no there yet may come; one whose card is bad has been told of.
      if (!this.#refusals.has(version))
        this.#refuse(
          version,
          new NoModelError(`alias ${alias} names ${version}, which is not there`),
        );
      return;
    }
    // A file that was refused is not read again every second; naming it anew tries at once.
    const refusedMs = this.#refusedMs.get(version) ?? -Infinity;
    const isFresh = this.#named.get(alias) !== version;
    if (!isFresh && performance.now() - refusedMs < RETRY_REFUSED_MS) return;
    try {
      const shared = [...this.#active.values()].find((model) => model.card.version === version);
      const model = shared ?? (await loadModel(this.#store, card, this.#options));
      this.#refusals.delete(version);
      this.#refusedMs.delete(version);
      this.#swap(alias, model);
      this.#log.info("model in use", { alias, version, before: current?.card.version });
    } catch (error) {
      this.#refuse(version, error);
    }
  }

  #swap(alias: string, model: LoadedModel | undefined): void {
    const before = this.#active.get(alias);
    if (model === undefined) this.#active.delete(alias);
    else this.#active.set(alias, model);
    if (before !== undefined && ![...this.#active.values()].includes(before)) this.#retire(before);
  }

  #retire(model: LoadedModel): void {
    this.#retired.set(model, false);
    const timer = setTimeout(() => {
      if (!this.#retired.has(model)) return;
      this.#retired.set(model, true);
      void this.#closeIfIdle(model);
    }, RETIRE_AFTER_MS);
    timer.unref();
  }

  async #closeIfIdle(model: LoadedModel): Promise<void> {
    if (this.#retired.get(model) !== true || this.#users.has(model)) return;
    this.#retired.delete(model);
    await model.onnx.close();
  }

  #refuse(version: string, error: unknown): void {
    const text = errorText(error);
    if (this.#refusals.get(version) !== text) {
      this.#log.error("model refused; the one before stays", error, { version });
    }
    this.#refusals.set(version, text);
    this.#refusedMs.set(version, performance.now());
  }

  async #dropOldest(): Promise<void> {
    const [oldest] = this.#loaded;
    if (this.#loaded.size <= MAX_LOADED_BY_VERSION || oldest === undefined) return;
    this.#loaded.delete(oldest[0]);
    this.#retire(await oldest[1]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#unwatch?.();
    await this.#refreshing;
    const models = new Set([...this.#active.values(), ...this.#retired.keys()]);
    for (const model of await Promise.allSettled(this.#loaded.values())) {
      if (model.status === "fulfilled") models.add(model.value);
    }
    this.#retired.clear();
    for (const { onnx } of models) await onnx.close();
  }
}
