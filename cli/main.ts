import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { pathToFileURL, fileURLToPath } from "node:url";
import { CourtsideError, UsageError } from "../base/errors.ts";
import type { Command } from "./command.ts";
import { closest, environmentName, readFlags } from "./flags.ts";
import { listenForStop } from "./stop-signal.ts";

const COMMANDS = fileURLToPath(new URL("commands/", import.meta.url));

export interface ProgramOptions {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  stdout(text: string): void;
  stderr(text: string): void;
  /** Folder with one module a command; the program's own by default. */
  readonly commandsFolder?: string;
}

/**
 * Runs one command.
 *
 * @returns exit code: 0 ok, 1 failed, 2 wrong usage. Errors that a person can do something about are one line;
 *   bugs show their stack.
 */
export async function runProgram(options: ProgramOptions): Promise<number> {
  const { args } = options;
  const folder = options.commandsFolder ?? COMMANDS;
  const [name, ...rest] = args;
  let known = "";
  try {
    if (name === undefined || ["help", "--help", "-h"].includes(name)) {
      const [topic] = rest;
      if (topic === undefined) {
        const text = await overview(folder);
        if (name !== undefined) options.stdout(text);
        else options.stderr(text);
        return name === undefined ? 2 : 0;
      }
      options.stdout(helpOf(await loadCommand(folder, topic)));
      return 0;
    }
    const command = await loadCommand(folder, name);
    known = command.name;
    const flags = readFlags(command.options, rest, options.environment);
    if (flags.values["help"] === true) {
      options.stdout(helpOf(command));
      return 0;
    }
    return await command.run({
      ...flags,
      stdout: (text) => {
        options.stdout(text);
      },
      stderr: (text) => {
        options.stderr(text);
      },
      signal: options.signal,
    });
  } catch (error) {
    return report(error, known, options);
  }
}

/** @param name - of the command, empty when it never came to one. */
function report(error: unknown, name: string, options: ProgramOptions): number {
  if (error instanceof UsageError) {
    options.stderr(
      `courtside: ${error.message}\nTry: courtside ${name === "" ? "" : `${name} `}--help\n`,
    );
    return 2;
  }
  if (error instanceof CourtsideError) {
    options.stderr(`courtside: ${error.message} [${error.code}]\n`);
    return 1;
  }
  // Ctrl-C while something was awaited is no failure worth a stack.
  if (options.signal.aborted && error instanceof Error && error.name === "AbortError") return 1;
  const text = error instanceof Error ? stackOf(error) : String(error);
  options.stderr(`courtside: this is a bug\n${text}\n`);
  return 1;
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}

async function loadCommand(folder: string, name: string): Promise<Command> {
  const names = await commandNames(folder);
  if (!names.includes(name)) {
    const meant = closest(name, names);
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    throw new UsageError(`there is no command "${name}"${hint}; commands: ${names.join(", ")}`);
  }
  const url = new URL(`${name}.ts`, pathToFileURL(`${folder}/`));
  const module = (await import(url.href)) as { readonly command?: Command };
  assert(module.command !== undefined, `cli/commands/${name}.ts must export "command"`);
  return module.command;
}

async function commandNames(folder: string): Promise<readonly string[]> {
  return (await readdir(folder))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => file.slice(0, -".ts".length))
    .toSorted();
}

async function overview(folder: string): Promise<string> {
  const names = await commandNames(folder);
  const commands = await Promise.all(names.map(async (name) => loadCommand(folder, name)));
  const width = Math.max(...names.map((name) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `courtside: real-time NBA insight on a stream

Examples:
  courtside up                                      everything on this machine, with a generated season
  courtside up --source SEASON.csv --games 20 --speed max --until-done

Commands:
${lines.join("\n")}

  courtside COMMAND --help shows examples and flags of a command.
`;
}

function helpOf(command: Command): string {
  const flags = Object.keys(command.options);
  const [example] = flags;
  const environment =
    example === undefined
      ? ""
      : `\nEvery flag can also be set in the environment, --${example} as ${environmentName(example)}.\n`;
  return `courtside ${command.name}: ${command.summary}\n\n${command.help.trim()}\n${environment}`;
}

/** Runs the program for this process and ends it with its exit code. */
async function main(): Promise<void> {
  const stop = listenForStop(process.env);
  const exitCode = await runProgram({
    args: process.argv.slice(2),
    environment: process.env,
    signal: stop.signal,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  });
  stop.dispose();
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  // Not left to the event loop: one forgotten timer of a library would keep a finished command alive.
  process.exit(exitCode);
}

async function flush(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write("", () => {
      resolve();
    });
  });
}

if (import.meta.main) {
  // A reader that goes away (`courtside sql … | head`) ends the program quietly, as for any Unix tool.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  await main();
}
