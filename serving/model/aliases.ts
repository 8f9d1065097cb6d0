import { appendFile, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { CourtsideError, errorText } from "../../base/errors.ts";

/** Name of a model in use: a file of that name in the models' folder holds its version. */
export type Alias = (typeof ALIASES)[number];

/**
 * `champion` answers when no version is asked for, `champion-odds` does where the closing spread is known, and
 * `challenger` is scored in the shadow of the champion.
 */
export const ALIASES = ["champion", "champion-odds", "challenger"] as const;

/** An alias cannot be moved: unknown alias or version, or nothing to go back to. */
export class AliasError extends CourtsideError {
  override readonly code = "BAD_ALIAS";
  override readonly retryable = false;
}

/** What aliases meant before, a line a change: `{"alias", "version"}`; the last line is what holds. */
const HISTORY_FILE = "aliases.jsonl";
const VERSION = /^[0-9a-f]{12}$/u;

/** Versions by alias; aliases without a file are left out. */
export async function readAliases(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const alias of ALIASES) {
    const version = await readIfThere(path.join(folder, alias));
    if (version !== undefined) found.set(alias, version.trim());
  }
  return found;
}

/**
 * Makes an alias mean a version. A reader sees the old version or the new one.
 * @throws AliasError when there is no such alias or version.
 */
export async function promote(folder: string, alias: string, version: string): Promise<void> {
  checkAlias(alias);
  const versions = (await readdir(folder).catch(() => [])).filter((name) => VERSION.test(name));
  if (!versions.includes(version)) {
    throw new AliasError(
      `there is no version ${JSON.stringify(version)} in ${folder}; versions there: ${versions.join(", ") || "none"}`,
    );
  }
  await point(folder, alias, version);
}

/**
 * Makes an alias mean what it meant before.
 * @returns the version that it means now.
 * @throws AliasError when nothing was before.
 */
export async function rollback(folder: string, alias: string): Promise<string> {
  checkAlias(alias);
  const current = (await readAliases(folder)).get(alias);
  const past = await history(folder, alias);
  const version = past.findLast((one) => one !== current);
  if (version === undefined) {
    throw new AliasError(
      `${alias} in ${folder} has no earlier version to go back to; promote one by its version`,
    );
  }
  await promote(folder, alias, version);
  return version;
}

/** Writes the alias and the line of its history; `publish` uses it before the version can be listed. */
export async function point(folder: string, alias: Alias, version: string): Promise<void> {
  const draft = path.join(folder, `.${alias}.${process.pid}`);
  await writeFile(draft, `${version}\n`);
  await rename(draft, path.join(folder, alias));
  const last = (await history(folder, alias)).at(-1);
  if (last === version) return;
  await appendFile(path.join(folder, HISTORY_FILE), `${JSON.stringify({ alias, version })}\n`);
}

function checkAlias(alias: string): asserts alias is Alias {
  if ((ALIASES as readonly string[]).includes(alias)) return;
  throw new AliasError(`${JSON.stringify(alias)} is no alias; aliases are ${ALIASES.join(", ")}`);
}

async function history(folder: string, alias: string): Promise<string[]> {
  const file = path.join(folder, HISTORY_FILE);
  const text = (await readIfThere(file)) ?? "";
  const versions: string[] = [];
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const entry = parseLine(line, file);
    if (entry.alias === alias && typeof entry.version === "string") versions.push(entry.version);
  }
  return versions;
}

function parseLine(line: string, file: string): { alias?: unknown; version?: unknown } {
  try {
    return JSON.parse(line) as { alias?: unknown; version?: unknown };
  } catch (error) {
    throw new AliasError(`${file} has a line that is not JSON: ${errorText(error)}`, {
      cause: error,
    });
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
