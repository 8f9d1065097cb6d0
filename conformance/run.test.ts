import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCases, runCase } from "./run.ts";

const OWN = join(import.meta.dirname, "cases.yaml");
const SHARED = join(import.meta.dirname, "../../shared/conformance/semantics.yaml");

for (const [name, path] of [
  ["our own cases", OWN],
  ["the shared cases", SHARED],
] as const)
  describe.skipIf(!existsSync(path))(name, () => {
    for (const of of existsSync(path) ? readCases(readFileSync(path, "utf8"), path) : [])
      test(of.id, async () => {
        expect(await runCase(of)).toEqual({ id: of.id, result: "ok", reason: "" });
      });
  });

const reasonOf = async (yaml: string): Promise<string> => {
  const [of] = readCases(`cases: [${yaml}]`, "test");
  const { result, reason } = await runCase(of ?? { id: "", kind: "" });
  return `${result}: ${reason}`;
};

test("what is not known is skipped with its name, never passed", async () => {
  expect(await reasonOf("{id: a, kind: other}")).toBe("skip: unsupported kind other");
  expect(await reasonOf("{id: a, kind: valve, inputs: 1, more: 2, steps: []}")).toMatch(
    /^skip.*more/,
  );
  expect(await reasonOf("{id: a, kind: valve, inputs: 1, steps: [{jump: 1}]}")).toMatch(
    /^skip.*jump/,
  );
  const op = "{assigner: global, trigger: {delta: 5}}";
  expect(await reasonOf(`{id: a, kind: window, op: ${op}, steps: []}`)).toMatch(/^skip.*delta/);
});

test("a check that does not hold names the step, what was expected and what came", async () => {
  expect(await reasonOf("{id: a, kind: valve, inputs: 1, steps: [{wm: [0, 5]}, {out: [6]}]}")).toBe(
    'not ok: step 2 {"out":[6]}: expected [6] got [5]',
  );
});

test("output that nobody looked at is a failure", async () => {
  const op = "{assigner: {tumbling: {size: 10}}, trigger: event_time}";
  const steps = "[{el: [k, 1, 0]}, {wm: 100}]";
  expect(await reasonOf(`{id: a, kind: window, op: ${op}, steps: ${steps}}`)).toMatch(
    /^not ok: at the end/,
  );
});

test("a file that is no set of cases is refused", () => {
  expect(() => readCases("cases: 5", "x.yaml")).toThrow(/x.yaml has no list of cases/);
  expect(() => readCases("cases: [{kind: valve}]", "x.yaml")).toThrow(/case 1 has no id/);
  expect(() => readCases("a: [", "x.yaml")).toThrow(/not YAML/);
});
