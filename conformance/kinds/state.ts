import { defaultKeyGroups, keyGroupRange, taskOfKeyGroup } from "../../base/key-group.ts";
import {
  BarrierAligner,
  type KeyedProcess,
  MIN_TIME_MS,
  type TimeToLive,
  valueState,
} from "../../operators/mod.ts";
import type { ProcessOperator } from "../../operators/runtime/process-operator.ts";
import { Harness, type HarnessSnapshot } from "../../testing/mod.ts";
import {
  type Case,
  config,
  fields,
  list,
  nameOf,
  Mismatch,
  same,
  steps,
  time,
  times,
  Unsupported,
  unsupportedStep,
  type Value,
} from "../case.ts";
import { jsonCodec } from "../doubles.ts";

type Access = { readonly put: Value } | "get";

/** Barriers, time to live, key groups. */
export const stateKinds = {
  barrier(of: Case): void {
    config(of, "channels", "after_finish", "steps");
    const afterFinish = of["after_finish"] ?? true;
    if (typeof afterFinish !== "boolean") throw new Unsupported("unsupported after_finish");
    const triggered: number[] = [];
    const aborted: number[] = [];
    const aligner = new BarrierAligner(
      time(of["channels"]),
      {
        onTriggered: (id) => void triggered.push(id),
        onAborted: (id) => void aborted.push(id),
      },
      afterFinish,
    );
    for (const step of steps(of)) {
      const { verb, argument, label } = step;
      const pair = (): number[] => times(argument);
      if (verb === "d") same(`${label} is not blocked`, false, aligner.isBlocked(time(argument)));
      else if (verb === "b") aligner.barrier(pair()[1] ?? 0, pair()[0] ?? 0);
      else if (verb === "cancel") aligner.cancel(pair()[0] ?? 0);
      else if (verb === "eof") aligner.finish(time(argument));
      else if (verb === "blocked") same(label, pair(), aligner.blocked());
      else if (verb === "triggered") same(label, pair(), triggered);
      else if (verb === "aborted") same(label, pair(), aborted);
      else unsupportedStep(step);
    }
  },

  ttl(of: Case): void {
    config(of, "op", "snapshot_between_steps", "steps");
    const process = accessProcess(ttlOf(fields(of["op"], ["ttl", "refresh", "visibility"], "op")));
    const start = (nowMs: number, from?: HarnessSnapshot): Harness<Access> =>
      new Harness<Access>((source, collect) => collect(source.keyBy(() => "k").process(process)), {
        nowMs,
        ...(from && { from }),
      });
    let h = start(MIN_TIME_MS);
    const restart = (): void => {
      h = start(h.clock.nowMs(), h.snapshot());
    };
    for (const step of steps(of)) {
      const { verb, argument, label } = step;
      if (of["snapshot_between_steps"] === true) restart();
      if (verb === "t") h.processingTime(time(argument));
      else if (verb === "put") h.record("k", { put: argument });
      else if (verb === "get") {
        h.record("k", "get");
        same(label, argument, h.take()[0]);
      } else if (verb === "stored") same(label, argument, stored(h));
      else if (verb === "snap") restart();
      else unsupportedStep(step);
    }
  },

  keygroup_ranges(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const [groups, parallelism, ranges] = list(row);
      const got = list(ranges).map((_range, i) => {
        const { first, last } = keyGroupRange(time(groups), time(parallelism), i);
        return [first, last];
      });
      same(JSON.stringify([groups, parallelism]), ranges, got);
      same("number of ranges", time(parallelism), got.length);
    }
  },

  keygroup_property(of: Case): void {
    const most = time(config(of, "max_groups")["max_groups"]);
    for (let groups = 1; groups <= most; groups += 1)
      for (let parallelism = 1; parallelism <= groups; parallelism += 1)
        checkRanges(groups, parallelism);
  },

  keygroup_default(of: Case): void {
    for (const row of list(config(of, "table")["table"])) {
      const [parallelism = 0, expected] = times(row);
      same(`parallelism ${nameOf(parallelism)}`, expected, defaultKeyGroups(parallelism));
    }
  },
};

function ttlOf(op: Readonly<Record<string, Value>>): TimeToLive {
  const { refresh, visibility } = op;
  if (refresh !== "write" && refresh !== "read_write") throw new Unsupported("unsupported refresh");
  if (visibility !== "never" && visibility !== "if_not_cleaned")
    throw new Unsupported("unsupported visibility");
  return {
    ttlMs: time(op["ttl"]),
    refresh: refresh === "write" ? "write" : "read-and-write",
    visibility: visibility === "never" ? "never" : "if-not-cleaned",
  };
}

// eslint-disable-next-line typescript/explicit-function-return-type -- the state's type is the point
function accessProcess(ttl: TimeToLive) {
  const state = { value: valueState(jsonCodec<Value>(), ttl) };
  const process: KeyedProcess<Access, Value, typeof state> = {
    uid: "ttl",
    state,
    onRecord: (context, access) => {
      if (access === "get") context.emit(context.state.value.get() ?? null);
      else context.state.value.set(access.put);
    },
  };
  return process;
}

function stored(h: Harness<Access>): Value {
  const operator = h.operators[0]?.state as ProcessOperator<Value, {}, {}> | undefined;
  for (const { root } of operator?.scope.store.entries() ?? []) {
    const cell = root.cells[0] as { readonly value: Value } | undefined;
    if (cell !== undefined) return cell.value;
  }
  return null;
}

function checkRanges(groups: number, parallelism: number): void {
  const label = `${String(groups)} groups at parallelism ${nameOf(parallelism)}`;
  let next = 0;
  for (let index = 0; index < parallelism; index += 1) {
    const { first, last } = keyGroupRange(groups, parallelism, index);
    if (first !== next)
      throw new Mismatch(`${label}: expected ${String(next)} got ${String(first)}`);
    for (let group = first; group <= last; group += 1)
      if (taskOfKeyGroup(group, groups, parallelism) !== index)
        throw new Mismatch(`${label}: group ${String(group)} expected ${String(index)}`);
    next = last + 1;
  }
  same(label, groups, next);
}
