import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readFlags } from "./flags.ts";
import { count, createProgress, table, type Terminal } from "./io.ts";
import { runProgram } from "./main.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const ERRORS = new URL("../base/errors.ts", import.meta.url).href;

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-commands-"));
  await writeFile(
    join(folder, "speak.ts"),
    `import { CourtsideError, UsageError } from ${JSON.stringify(ERRORS)};
    class Known extends CourtsideError { code = "KNOWN"; retryable = false; }
    export const command = {
      name: "speak", summary: "say things", help: "Examples:\\n  courtside speak --loud",
      options: { loud: { type: "boolean" }, times: { type: "string", default: "1" } },
      run: async ({ values, positionals, stdout }) => {
        if (positionals[0] === "usage") throw new UsageError("say what");
        if (positionals[0] === "known") throw new Known("it is broken; mend it");
        if (positionals[0] === "bug") throw new TypeError("undefined is not a function");
        stdout(JSON.stringify(values));
        return 0;
      },
    };`,
  );
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  let stdout = "";
  let stderr = "";
  const code = await runProgram({
    args,
    environment,
    signal: new AbortController().signal,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    commandsFolder: folder,
  });
  return { code, stdout, stderr };
}

test("a flag wins over the environment, and the environment over the default", async () => {
  const values = async (...args: Parameters<typeof run>): Promise<unknown> =>
    JSON.parse((await run(...args)).stdout);
  expect(await values(["speak"])).toEqual({ times: "1" });
  expect(await values(["speak"], { COURTSIDE_TIMES: "2" })).toEqual({ times: "2" });
  expect(await values(["speak", "--times", "3"], { COURTSIDE_TIMES: "2" })).toEqual({ times: "3" });
  expect(await values(["speak", "--no-loud"], { COURTSIDE_LOUD: "1" })).toEqual({
    times: "1",
    loud: false,
  });
});

test("an unknown flag exits 2 with the flag that was probably meant", async () => {
  const { code, stderr } = await run(["speak", "--lout"]);
  expect(code).toBe(2);
  expect(stderr).toBe(
    "courtside: unknown flag --lout; did you mean --loud?\nTry: courtside speak --help\n",
  );
});

test("an unknown command exits 2 with the command that was probably meant", async () => {
  const { code, stderr } = await run(["speek"]);
  expect(code).toBe(2);
  expect(stderr).toContain('there is no command "speek"; did you mean "speak"?');
});

test("help lists the commands, and the help of a command starts with examples", async () => {
  expect(await run(["--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("speak  say things") as string,
  });
  expect(await run(["speak", "--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^courtside speak: say things\n\nExamples:/) as string,
  });
  expect(await run([])).toMatchObject({ code: 2, stdout: "" });
});

test("what a person can mend is one line with its code, a bug shows its stack", async () => {
  expect(await run(["speak", "usage"])).toMatchObject({ code: 2 });
  expect(await run(["speak", "known"])).toEqual({
    code: 1,
    stdout: "",
    stderr: "courtside: it is broken; mend it [KNOWN]\n",
  });
  const bug = await run(["speak", "bug"]);
  expect(bug.code).toBe(1);
  expect(bug.stderr).toMatch(/TypeError: undefined is not a function\n\s+at .*speak\.ts/);
});

test("a boolean in the environment that is neither true nor false is refused", () => {
  const options = { loud: { type: "boolean" } } as const;
  expect(() => readFlags(options, [], { COURTSIDE_LOUD: "maybe" })).toThrow(
    'COURTSIDE_LOUD must be true or false, not "maybe"',
  );
});

const processes: ChildProcess[] = [];
afterAll(() => {
  for (const child of processes) child.kill("SIGKILL");
});

/** A command that runs until it is stopped. */
async function startNats(environment: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const data = await mkdtemp(join(folder, "data-"));
  const child = spawn(process.execPath, [MAIN, "nats", "--port", "0", "--data", data], {
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "ignore"],
  });
  processes.push(child);
  await once(child.stdout ?? child, "data");
  return child;
}

test("SIGTERM, SIGINT and, for a supervised child, the end of its input stop it with exit code 0", async () => {
  const [terminated, interrupted, orphaned] = await Promise.all([
    startNats({}),
    startNats({}),
    startNats({ COURTSIDE_SUPERVISED: "1" }),
  ]);
  const exits = [terminated, interrupted, orphaned].map(async (child) => once(child, "exit"));
  terminated.kill("SIGTERM");
  // As a terminal and npm do it: the same signal twice in no time is one wish.
  interrupted.kill("SIGINT");
  interrupted.kill("SIGINT");
  orphaned.stdin?.end();
  expect(await Promise.all(exits)).toEqual([
    [0, null],
    [0, null],
    [0, null],
  ]);
}, 20_000);

test("progress is a bar on a terminal and a line now and then elsewhere", () => {
  let text = "";
  let nowMs = 0;
  const terminal = (interactive: boolean): Terminal => ({
    interactive,
    colours: false,
    write: (more) => (text += more),
  });
  const plain = createProgress(terminal(false), "read", () => nowMs);
  plain.update(1, 4, "games");
  plain.update(2, 4, "games");
  nowMs = 2_000;
  plain.update(3, 4, "games");
  plain.finish("done");
  plain.finish("done");
  expect(text).toBe("read 1 of 4 games\nread 3 of 4 games\ndone\n");
  text = "";
  createProgress(terminal(true), "read", () => nowMs).update(2, 4);
  expect(text).toContain(`${"█".repeat(14)}${"░".repeat(14)} 2 of 4`);
});

test("a table puts numbers to the right and words to the left", () => {
  const text = table(
    ["game", "plays"],
    [
      ["BOS", count(1200)],
      ["LAL", "7"],
    ],
  );
  expect(text).toBe("game  plays\nBOS   1,200\nLAL       7\n");
});
