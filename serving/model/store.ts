import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

/** The alias that is served when a request names no model. */
export const CHAMPION_FILE = "champion";
export const ONNX_FILE = "model.onnx";
export const CARD_FILE = "card.json";

/** Where models are kept: immutable versions of two files each, and aliases that name versions. */
export interface ModelStore {
  /** For messages: the folder's path or the bucket's address. */
  readonly place: string;
  /** Sorted. */
  versions(): Promise<readonly string[]>;
  /** Version by alias. */
  aliases(): Promise<ReadonlyMap<string, string>>;
  /** @throws when the file is missing or cannot be read. */
  read(version: string, file: typeof ONNX_FILE | typeof CARD_FILE): Promise<Uint8Array>;
  /**
   * Calls back soon after anything may have changed, and now and then without a change.
   * @returns a function that ends it.
   */
  watch(changed: () => void): Promise<() => Promise<void>>;
}

/** Names of aliases; what else lies in a folder (notes, drafts, histories) is none. */
export const ALIAS_NAME = /^[a-z][a-z0-9-]{0,31}$/u;
/** First 12 hex digits of the model's hash, or another name without a dot in front. */
const VERSION_NAME = /^[A-Za-z0-9][\w.-]{0,63}$/u;
/** Aliases that are read; more are a mistake. */
const MAX_ALIASES = 16;
/** Characters of an alias file that are looked at: a version and a line end. */
const MAX_ALIAS_CHARS = 256;
/** Polling a folder is a readdir and a few reads of a line; a swap a second after the promotion is soon enough. */
const POLL_MS = 1_000;

/**
 * A folder of `<version>/{model.onnx, card.json}` with a file for each alias that holds a version. It is polled:
 * mounted volumes of containers tell nothing of changes.
 */
export function folderStore(folder: string, pollMs = POLL_MS): ModelStore {
  return {
    place: folder,
    async versions() {
      const entries = await readdir(folder, { withFileTypes: true });
      const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      return names.filter((name) => VERSION_NAME.test(name)).toSorted();
    },
    async aliases() {
      const entries = await readdir(folder, { withFileTypes: true });
      const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
      const aliases = new Map<string, string>();
      for (const name of names.filter((each) => ALIAS_NAME.test(each)).slice(0, MAX_ALIASES)) {
        const text = await readFile(path.join(folder, name), "utf8");
        const version = text.slice(0, MAX_ALIAS_CHARS).trim();
        if (VERSION_NAME.test(version)) aliases.set(name, version);
      }
      return aliases;
    },
    read: async (version, file) => readFile(path.join(folder, version, file)),
    watch(changed) {
      const timer = setInterval(changed, pollMs);
      timer.unref();
      return Promise.resolve(() => {
        clearInterval(timer);
        return Promise.resolve();
      });
    },
  };
}
