import type { KeyedProcess, TimeDomain } from "../operators/mod.ts";
import { keyText, list, nameOf, time, Unsupported, type Value } from "./case.ts";

/** A timer as cases write it: domain, key, namespace, time. */
export type TimerRow = readonly [string, Value, Value, number];

export interface TimerCommand {
  readonly verb: "reg" | "del";
  readonly row: TimerRow;
}

/** Registers and deletes timers as it is told, and tells which fire. */
export const timerProcess: KeyedProcess<TimerCommand, TimerRow, {}> = {
  uid: "timers",
  state: {},
  onRecord: ({ timers }, { verb, row: [domain, , namespace, timeMs] }) => {
    const kind = domainOf(domain);
    const text = keyText(namespace);
    if (verb === "reg") timers.register(timeMs, text, kind);
    else timers.delete(timeMs, text, kind);
  },
  onTimer: (context, timeMs, namespace, domain) =>
    context.emit([
      domain === "event" ? "event" : "proc",
      JSON.parse(context.key) as Value,
      JSON.parse(namespace) as Value,
      timeMs,
    ]),
};

export function timerRow(value: Value | undefined): TimerRow {
  const [domain, key = null, namespace = null, at] = list(value);
  domainOf(domain);
  return [nameOf(domain), key, namespace, time(at)];
}

function domainOf(domain: Value | undefined): TimeDomain {
  if (domain === "event") return "event";
  if (domain === "proc") return "processing";
  throw new Unsupported(`unsupported timer domain ${JSON.stringify(domain)}`);
}
