import {
  addWindow,
  intersects,
  mergeGroups,
  retire,
  sessionWindows,
  windowStartMs,
} from "../../operators/mod.ts";
import { Harness } from "../../testing/mod.ts";
import {
  type Case,
  config,
  type Fields,
  fields,
  keyText,
  list,
  Mismatch,
  same,
  sameRows,
  time,
  times,
  Unsupported,
  type Value,
  nameOf,
} from "../case.ts";
import { assignerOf, type Element, jsonCodec, windowOf, windowRow } from "../doubles.ts";

/** Assigners alone, and how windows merge. */
export const assignmentKinds = {
  assign(of: Case): void {
    const assigner = assignerOf(config(of, "assigner", "table")["assigner"]);
    for (const row of list(of["table"])) {
      const [at, windows] = list(row);
      const got = assigner.assign(time(at), { key: "k", value: { key: "k", value: 0 } });
      sameRows(
        `ts ${nameOf(at)}`,
        list(windows).map((each) => windowRow(windowOf(each))),
        got.map(windowRow),
      );
    }
  },

  window_start(of: Case): void {
    const sizeMs = time(config(of, "size", "table")["size"]);
    for (const row of list(of["table"])) {
      const [offsetMs = 0, timeMs = 0, startMs = 0] = times(row);
      same(`row ${JSON.stringify(row)}`, startMs, windowStartMs(timeMs, offsetMs, sizeMs));
    }
  },

  invalid(of: Case): void {
    for (const each of list(config(of, "configs")["configs"])) {
      let refused = false;
      try {
        assignerOf(each);
      } catch (error) {
        if (error instanceof Unsupported) throw error;
        refused = true;
      }
      if (!refused)
        throw new Mismatch(`${JSON.stringify(each)}: expected an error got an assigner`);
    }
  },

  session_dialect(of: Case): void {
    config(of, "gap", "events", "expect");
    const expected = fields(of["expect"], ["flink", "beam", "kstreams", "bytewax"], "dialect")[
      "flink"
    ];
    if (expected === undefined) throw new Unsupported("unsupported dialects only");
    const h = new Harness<Element>((source, collect) =>
      collect(
        source
          .keyBy(({ key }) => keyText(key))
          .window({
            uid: "sessions",
            assigner: sessionWindows(time(of["gap"])),
            aggregate: {
              codec: jsonCodec<number>(),
              create: () => 0,
              add: (sum) => sum + 1,
              result: (sum) => sum,
              merge: (a, b) => a + b,
            },
            emit: (_key, window) => [windowRow(window)],
          }),
      ),
    );
    for (const at of times(of["events"])) h.record('"k"', { key: "k", value: 0 }, at);
    h.watermark(time("MAX"));
    sameRows(
      "sessions",
      list(expected).map((each) => windowRow(windowOf(each))),
      h.take(),
    );
  },

  intersects(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const [a, b, expected] = list(row);
      same(JSON.stringify(row), expected, intersects(windowOf(a), windowOf(b)));
      same(`${JSON.stringify(row)} the other way`, expected, intersects(windowOf(b), windowOf(a)));
    }
  },

  merge_groups(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const { windows, groups } = fields(row, ["windows", "groups"], "row");
      const got = mergeGroups(list(windows).map(windowOf)).filter((group) => group.of.length > 1);
      const expected = list(groups).map((group) => fields(group, ["of", "into"], "group"));
      sameRows(
        JSON.stringify(row),
        expected.map((group) => [windowRows(group["of"]), windowRow(windowOf(group["into"]))]),
        got.map((group) => [group.of.map(windowRow).sort(byText), windowRow(group.into)]),
      );
    }
  },

  merge_set(of: Case): void {
    const live: Parameters<typeof addWindow>[0] = [];
    for (const [i, step] of list(config(of, "steps")["steps"]).entries()) {
      const label = `step ${String(i + 1)} ${JSON.stringify(step)}`;
      if ((step as Fields)["retire"] !== undefined) {
        const { retire: gone, remaining } = fields(step, ["retire", "remaining"], "step");
        retire(live, windowOf(gone));
        sameRows(
          label,
          windowRows(remaining),
          live.map(({ window }) => windowRow(window)),
        );
      } else checkAdded(label, live, step);
    }
  },
};

const ADDED = [
  "add",
  "actual",
  "merged",
  "sources",
  "state",
  "state_any",
  "dropped_state",
  "dropped_count",
];

function checkAdded(label: string, live: Parameters<typeof addWindow>[0], step: Value): void {
  const all = fields(step, ADDED, "step");
  const { actual, sources } = addWindow(live, windowOf(all["add"]));
  const dropped = sources.slice(1).map(({ state }) => windowRow(state));
  const has = (name: string): boolean => all[name] !== undefined;
  if (has("actual"))
    same(`${label} actual`, windowRow(windowOf(all["actual"])), windowRow(actual.window));
  if (has("merged")) same(`${label} merged`, all["merged"], sources.length > 0);
  if (has("sources"))
    sameRows(
      `${label} sources`,
      windowRows(all["sources"]),
      sources.map(({ window }) => windowRow(window)),
    );
  if (has("state"))
    same(`${label} state`, windowRow(windowOf(all["state"])), windowRow(actual.state));
  if (
    has("state_any") &&
    !windowRows(all["state_any"]).some((each) => byText(each, windowRow(actual.state)) === 0)
  )
    throw new Mismatch(
      `${label}: expected one of these states got ${JSON.stringify(windowRow(actual.state))}`,
    );
  if (has("dropped_state")) sameRows(`${label} dropped`, windowRows(all["dropped_state"]), dropped);
  if (has("dropped_count")) same(`${label} dropped`, all["dropped_count"], dropped.length);
}

function windowRows(value: Value | undefined): (readonly [number, number])[] {
  return list(value)
    .map((each) => windowRow(windowOf(each)))
    .sort(byText);
}

function byText(a: unknown, b: unknown): number {
  const x = JSON.stringify(a);
  const y = JSON.stringify(b);
  return x === y ? 0 : x < y ? -1 : 1;
}
