import { expect, test } from "vitest";
import { pictureOf } from "./job-plan.ts";
import { command } from "./commands/jobs.ts";

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
