import { afterEach, beforeEach, expect, test } from "vitest";
import { handMadeModel, type ModelFolder, temporaryModels } from "../../tests/support/models.ts";
import { courtside } from "../../tests/support/courtside.ts";

let models: ModelFolder;

beforeEach(async () => {
  models = await temporaryModels();
});

afterEach(() => models.remove());

async function run(
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return courtside("models", ...args, "--models", models.folder);
}

test("models are listed, compared, promoted and rolled back from the command line", async () => {
  const first = await models.add(handMadeModel());
  const second = await models.add(handMadeModel(0.9));
  expect((await run("list")).stdout).toMatch(new RegExp(`${second.version} .*champion`, "u"));
  expect((await run("promote", first.version)).stdout).toBe(`champion is ${first.version} now\n`);
  expect((await run("promote", second.version, "challenger")).code).toBe(0);
  expect((await run("list")).stdout).toMatch(new RegExp(`${second.version} .*challenger`, "u"));
  expect((await run("show", "champion")).stdout).toContain(first.version);
  expect((await run("compare", "champion", "challenger")).stdout).toContain("all plays");
  expect((await run("rollback")).stdout).toBe(`champion is ${second.version} again\n`);
}, 60_000);

test("a version that is not there, or of the wrong kind, is not promoted", async () => {
  const { version } = await models.add(handMadeModel());
  const unknown = await run("promote", "0123456789ab");
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain(version);
  const wrong = await run("promote", version, "champion-odds");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain("without odds");
  expect((await run("rollback", "nobody")).code).toBe(1);
}, 60_000);
