import { type NatsConnection } from "@nats-io/nats-core";
import { type ObjectStore, Objm } from "@nats-io/obj";
import { CourtsideError } from "../../base/errors.ts";
import { ALIAS_NAME, CARD_FILE, CHAMPION_FILE, ONNX_FILE, type ModelStore } from "./store.ts";

/** The version is in the store already with other content: versions never change. */
export class ImmutableVersionError extends CourtsideError {
  override readonly code = "IMMUTABLE_VERSION";
  override readonly retryable = false;
}

/** A store that can be written to as well. */
export interface WritableModelStore extends ModelStore {
  /**
   * Adds a version; the same content once more is no change.
   * @throws ImmutableVersionError
   */
  publish(version: string, onnx: Uint8Array, card: Uint8Array): Promise<void>;
  /** Lets an alias name a version; readers see the old or the new one. */
  setAlias(alias: string, version: string): Promise<void>;
}

/** Objects are `versions/<version>/<file>` and `aliases/<alias>`. */
const VERSIONS = "versions/";
const ALIASES = "aliases/";
/** A missed message of the watch is made up for by then. */
const POLL_MS = 30_000;

/**
 * Models in a JetStream Object Store, which checks every object's SHA-256 as it is read. The bucket is made when it
 * is not there.
 */
export async function objectModelStore(
  nats: NatsConnection,
  bucket: string,
): Promise<WritableModelStore> {
  const objects = await new Objm(nats).create(bucket, { description: "Courtside models" });
  return {
    place: `JetStream Object Store ${bucket}`,
    async versions() {
      const names = await liveNames(objects);
      const versions = names
        .filter((name) => name.startsWith(VERSIONS) && name.endsWith(`/${CARD_FILE}`))
        .map((name) => name.slice(VERSIONS.length, -CARD_FILE.length - 1));
      return versions.toSorted();
    },
    async aliases() {
      const aliases = new Map<string, string>();
      for (const name of await liveNames(objects)) {
        const alias = name.slice(ALIASES.length);
        if (!name.startsWith(ALIASES) || !ALIAS_NAME.test(alias)) continue;
        const blob = await objects.getBlob(name);
        if (blob !== null) aliases.set(alias, new TextDecoder().decode(blob).trim());
      }
      return aliases;
    },
    async read(version, file) {
      const name = `${VERSIONS}${version}/${file}`;
      const blob = await objects.getBlob(name);
      if (blob === null) throw new RangeError(`${name} is not in the bucket ${bucket}`);
      return blob;
    },
    async publish(version, onnx, card) {
      const name = `${VERSIONS}${version}/${ONNX_FILE}`;
      const known = await objects.getBlob(name);
      if (known !== null && Buffer.compare(known, onnx) !== 0) {
        throw new ImmutableVersionError(`version ${version} is in ${bucket} with other content`);
      }
      if (known === null) await objects.putBlob({ name }, onnx);
      // The card last: a version is listed once it has both files.
      await objects.putBlob({ name: `${VERSIONS}${version}/${CARD_FILE}` }, card);
    },
    async setAlias(alias, version) {
      await objects.putBlob({ name: `${ALIASES}${alias}` }, new TextEncoder().encode(version));
    },
    async watch(changed) {
      const updates = await objects.watch({ includeHistory: false });
      const timer = setInterval(changed, POLL_MS);
      timer.unref();
      const follow = async (): Promise<void> => {
        for await (const update of updates) if (update !== null) changed();
      };
      void follow();
      return () => {
        clearInterval(timer);
        updates.stop();
        return Promise.resolve();
      };
    },
  };
}

/**
 * Puts all versions and aliases of a store into one that has no champion yet; one that has is left as it is.
 * @returns true when it was filled.
 */
export async function fillIfEmpty(to: WritableModelStore, from: ModelStore): Promise<boolean> {
  if ((await to.aliases()).has(CHAMPION_FILE)) return false;
  for (const version of await from.versions()) {
    const card = await from.read(version, CARD_FILE);
    await to.publish(version, await from.read(version, ONNX_FILE), card);
  }
  const aliases = [...(await from.aliases())];
  // The champion last: from then on the store counts as filled.
  aliases.sort(([a], [b]) => Number(a === CHAMPION_FILE) - Number(b === CHAMPION_FILE));
  for (const [alias, version] of aliases) await to.setAlias(alias, version);
  return true;
}

async function liveNames(objects: ObjectStore): Promise<string[]> {
  return (await objects.list()).filter(({ deleted }) => !deleted).map(({ name }) => name);
}
