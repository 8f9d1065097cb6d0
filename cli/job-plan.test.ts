import { expect, test } from "vitest";
import { pictureOf } from "./job-plan.ts";
import { command } from "./commands/jobs.ts";
import { watermarkTable } from "./job-status.ts";

const node = (uid: string, ...inputs: string[]) => ({
  uid,
  kind: "map",
  detail: "",
  inputs,
  states: [],
});

test("the picture leads from every operator to those that read it", () => {
  const nodes = [node("a"), node("b", "a"), node("c", "a:late"), node("d", "b", "c")];
  expect(pictureOf({ job: "j", keyGroups: 4, nodes })).toBe(
    [
      "job j, 4 key groups",
      "",
      "● a [map]",
      "├─●─ b [map]",
      "└─┼─●─ c [map]  reads a:late",
      "  └─└─ d [map]",
      "",
    ].join("\n"),
  );
});

test("the plan of the insight job names operators, windows and state, without a broker", async () => {
  let out = "";
  const code = await command.run({
    values: { plan: true, json: true },
    positionals: ["insight"],
    stdout: (text) => (out += text),
    stderr: () => {},
    signal: new AbortController().signal,
  });
  expect(code).toBe(0);
  const { nodes } = JSON.parse(out) as { nodes: { uid: string; states: { name: string }[] }[] };
  expect(nodes.find(({ uid }) => uid === "game")?.states.map(({ name }) => name)).toContain("game");
  expect(nodes.map(({ uid }) => uid)).toContain("team-window-2");
});

test("the table of watermarks says who holds event time back, and since when", () => {
  const hold = { uid: "time", watermarkMs: 39, heldBy: ["b"], sinceMs: 0, idle: ["c"], paused: [] };
  const region = { state: "running", checkpoint: 1, sequence: 1, failures: 0, error: "" } as const;
  const worker = { id: "w", host: "h", pid: 1, startedTimeMs: 0, regions: [0] };
  const status = { "0": { ...region, watermarks: [hold] } };
  expect(watermarkTable({ workers: [{ ...worker, status }] })).toMatch(
    /0 +time +39 +b +1970-01-01T00:00:00.000Z +c/,
  );
});
