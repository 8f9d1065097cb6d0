import { CourtsideError } from "../../base/errors.ts";

/** What Grafana would put into a query. */
export interface QueryContext {
  /** Epoch milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly intervalMs: number;
  readonly variables: Readonly<Record<string, string>>;
}

/** A macro that the plugin does not know: it would reach ClickHouse as it stands. */
export class UnknownMacroError extends CourtsideError {
  override readonly code = "UNKNOWN_MACRO";
  override readonly retryable = false;
}

type Macro = (context: QueryContext, argument: string) => string;

const seconds = (ms: number): string => String(Math.floor(ms / 1_000));

/** Macros of the ClickHouse plugin 4.x, as its documentation spells them out. */
const MACROS: Readonly<Record<string, Macro>> = {
  timeFilter: ({ fromMs, toMs }, c) =>
    `${c} >= toDateTime(${seconds(fromMs)}) AND ${c} <= toDateTime(${seconds(toMs)})`,
  timeFilter_ms: ({ fromMs, toMs }, c) =>
    `${c} >= fromUnixTimestamp64Milli(${fromMs}) AND ${c} <= fromUnixTimestamp64Milli(${toMs})`,
  timeInterval: ({ intervalMs }, c) =>
    `toStartOfInterval(toDateTime(${c}), INTERVAL ${Math.max(1, Math.round(intervalMs / 1_000))} second)`,
  timeInterval_ms: ({ intervalMs }, c) =>
    `toStartOfInterval(toDateTime64(${c}, 3), INTERVAL ${intervalMs} millisecond)`,
  fromTime: ({ fromMs }) => `toDateTime(${seconds(fromMs)})`,
  toTime: ({ toMs }) => `toDateTime(${seconds(toMs)})`,
  fromTime_ms: ({ fromMs }) => `fromUnixTimestamp64Milli(${fromMs})`,
  toTime_ms: ({ toMs }) => `fromUnixTimestamp64Milli(${toMs})`,
  interval_s: ({ intervalMs }) => String(Math.max(1, Math.round(intervalMs / 1_000))),
};

/** Grafana's own values, which are no variables of a board. */
const BUILT_IN = /^__(?:url_time_range|data\.fields\.\w+)$/u;

/**
 * The statement as ClickHouse would get it, for running it without Grafana.
 * @throws UnknownMacroError for a macro that the plugin does not have or a variable that the board does not have.
 */
export function expand(rawSql: string, context: QueryContext): string {
  const withVariables = rawSql.replaceAll(/\$\{([\w.]+)\}/gu, (whole, name: string) => {
    const value = context.variables[name];
    if (value !== undefined) return value;
    if (BUILT_IN.test(name)) return whole;
    throw new UnknownMacroError(`the board has no variable ${name}`);
  });
  const expanded = withVariables.replaceAll(
    /\$__(\w+)(?:\(([^()]*)\))?/gu,
    (_whole, name: string, argument: string | undefined) => {
      const macro = MACROS[name];
      if (macro === undefined) throw new UnknownMacroError(`the plugin has no macro $__${name}`);
      return macro(context, argument?.trim() ?? "");
    },
  );
  return expanded;
}
