import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "../base/errors.ts";
import type { CommandContext } from "./command.ts";

type Values = CommandContext["values"];
type Option = ParseArgsOptionsConfig[string];

export interface ParsedFlags {
  readonly values: Values;
  readonly positionals: readonly string[];
}

/**
 * Reads flags by `flag > environment > default`; the flag `--nats-url` is `COURTSIDE_NATS_URL` in the environment.
 *
 * @throws UsageError for an unknown flag or a value that does not fit, with a hint.
 */
export function readFlags(
  options: ParseArgsOptionsConfig,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): ParsedFlags {
  const { values, positionals } = parse(options, args);
  const merged: Record<string, Values[string]> = { ...values };
  for (const [name, option] of Object.entries(options)) {
    merged[name] ??= fromEnvironment(name, option, environment) ?? option.default;
  }
  return { values: merged, positionals };
}

/** Name of the environment variable that stands for a flag. */
export function environmentName(flag: string): string {
  return `COURTSIDE_${flag.replaceAll("-", "_").toUpperCase()}`;
}

/** The known name that `name` was probably meant to be; at most two letters away. */
export function closest(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance }) => distance <= 2)
    .toSorted((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate ?? known.find((candidate) => candidate.startsWith(name));
}

/** `--name N` as an integer. @throws UsageError when it is not one between `min` and `max`. */
export function integerFlag(
  values: Values,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = typeof text === "string" && /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new UsageError(
      `--${name} must be a whole number from ${min} to ${max}, not "${String(text)}"`,
    );
  }
  return value;
}

/** `--name TEXT`, or undefined when it was not given. */
export function textFlag(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function parse(options: ParseArgsOptionsConfig, args: readonly string[]): ParsedFlags {
  // Without the defaults it can be told whether a flag was given, so that the environment comes between.
  const bare: Record<string, Option> = { help: { type: "boolean", short: "h" } };
  for (const [name, option] of Object.entries(options)) {
    bare[name] = { ...option };
    delete bare[name].default;
  }
  const allowNegative = !Object.keys(options).some((name) => name.startsWith("no-"));
  try {
    return parseArgs({
      options: bare,
      args: [...args],
      allowPositionals: true,
      allowNegative,
      strict: true,
    });
  } catch (error) {
    throw usage(error, Object.keys(bare), args);
  }
}

function usage(error: unknown, known: readonly string[], args: readonly string[]): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const flag = /'(-[^' ]*)'/.exec(error.message)?.[1] ?? args.find((arg) => arg.startsWith("-"));
    const meant = closest((flag ?? "").replace(/^-+/, ""), known);
    const hint = meant === undefined ? "" : `; did you mean --${meant}?`;
    return new UsageError(`unknown flag ${flag ?? ""}${hint}`, { cause: error });
  }
  if (String(error.code).startsWith("ERR_PARSE_ARGS")) {
    return new UsageError(error.message, { cause: error });
  }
  return error;
}

function fromEnvironment(
  name: string,
  option: Option,
  environment: NodeJS.ProcessEnv,
): Values[string] {
  const variable = environmentName(name);
  const text = environment[variable];
  if (text === undefined || text === "") return undefined;
  if (option.type === "boolean") return booleanOf(variable, text);
  return option.multiple === true ? text.split(",") : text;
}

function booleanOf(variable: string, text: string): boolean {
  if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true;
  if (["0", "false", "no", "off"].includes(text.toLowerCase())) return false;
  throw new UsageError(`${variable} must be true or false, not "${text}"`);
}

/** Levenshtein distance; flags and commands are short. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [row, letter] of a.split("").entries()) {
    const current = [row + 1];
    for (const [column, other] of b.split("").entries()) {
      const substitution = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(
        Math.min(substitution, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1),
      );
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
