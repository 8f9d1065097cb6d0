import type { ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "../base/errors.ts";
import { type Disorder, isDisordered, NO_DISORDER } from "../data/disorder.ts";
import type { CommandContext } from "./command.ts";
import { integerFlag, textFlag } from "./flags.ts";

/** Shares of the plays, and the seed by which they are chosen. */
export const DISORDER_FLAGS: readonly string[] = [
  "delay",
  "reorder",
  "duplicate",
  "drop-resend",
  "correct",
  "disorder-seed",
];

export const DISORDER_OPTIONS: ParseArgsOptionsConfig = Object.fromEntries(
  DISORDER_FLAGS.map((name) => [name, { type: "string" }]),
);

export const DISORDER_HELP = `  --delay R            share of plays that come up to a minute late, 0 to 1
  --reorder R          share that change places with the play behind them
  --duplicate R        share that come twice
  --drop-resend R      share that are lost, and sent again minutes later
  --correct R          share that are told wrongly first, or taken back for a while, and corrected
  --disorder-seed N    seed of all of these (default 1); what holds in the end is the same without them`;

const DEFAULT_SEED = 1;
const MAX_SEED = 2 ** 32 - 1;

/** The flags as they were given, by name, for a command that hands them on. @throws UsageError */
export function readDisorder(
  values: CommandContext["values"],
): Readonly<Record<string, string | undefined>> {
  disorderOf(values);
  return Object.fromEntries(DISORDER_FLAGS.map((name) => [name, textFlag(values, name)]));
}

/** @returns undefined when the plays are to come in order. @throws UsageError */
export function disorderOf(values: CommandContext["values"]): Disorder | undefined {
  const disorder = {
    ...NO_DISORDER,
    delay: share(values, "delay"),
    reorder: share(values, "reorder"),
    duplicate: share(values, "duplicate"),
    dropResend: share(values, "drop-resend"),
    correct: share(values, "correct"),
    seed: integerFlag(values, "disorder-seed", { min: 0, max: MAX_SEED }) ?? DEFAULT_SEED,
  };
  return isDisordered(disorder) ? disorder : undefined;
}

function share(values: CommandContext["values"], name: string): number {
  const text = textFlag(values, name) ?? "0";
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  throw new UsageError(`--${name} is a share of the plays, a number from 0 to 1, not "${text}"`);
}
