import type { ParseArgsOptionsConfig } from "node:util";

/** One command of the `courtside` program, in a file of its own under `cli/commands/`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Examples first, then what each flag does. */
  readonly help: string;
  /** Flags as `node:util` `parseArgs` takes them; `--help` is added by the program. */
  readonly options: ParseArgsOptionsConfig;
  /** @returns the exit code: 0 ok, 1 failed, 2 usage. A thrown `UsageError` is 2, any other error 1. */
  run(context: CommandContext): Promise<number>;
}

export interface CommandContext {
  /** Values of the flags after `flag > environment > default`. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
  /** Data: what a pipe wants to read. */
  stdout(text: string): void;
  /** Progress and messages for people. */
  stderr(text: string): void;
  /** Aborted by SIGINT, SIGTERM and, for a supervised child, by the death of its parent. */
  readonly signal: AbortSignal;
}
