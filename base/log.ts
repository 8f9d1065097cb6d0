import { errorText } from "./errors.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One JSON object a line on standard error; standard output is for data. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, cause: unknown, fields?: LogFields): void;
}

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/**
 * @param component - who speaks, for example `insight`.
 * @param level - least level that is written; `COURTSIDE_LOG` in the environment, default `info`.
 */
export function createLog(
  component: string,
  level: LogLevel = levelFromEnvironment(),
  write: (line: string) => void = (line) => void process.stderr.write(line),
): Log {
  const emit = (lineLevel: LogLevel, event: string, fields: LogFields = {}): void => {
    if (ORDER.indexOf(lineLevel) < ORDER.indexOf(level)) return;
    const time = new Date().toISOString();
    write(`${JSON.stringify({ time, level: lineLevel, component, event, ...fields })}\n`);
  };
  return {
    debug: (event, fields) => emit("debug", event, fields),
    info: (event, fields) => emit("info", event, fields),
    warn: (event, fields) => emit("warn", event, fields),
    error: (event, cause, fields) => emit("error", event, { ...fields, error: errorText(cause) }),
  };
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

function levelFromEnvironment(): LogLevel {
  const wanted = process.env["COURTSIDE_LOG"];
  return ORDER.find((level) => level === wanted) ?? "info";
}
