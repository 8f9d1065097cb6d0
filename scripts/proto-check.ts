import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Checks the contracts: buf's lint rules hold, proto/gen is what the .proto files generate, and nothing that was
 * published before is broken. Exit code 1 when one of them does not hold.
 */
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PROTO = join(ROOT, "proto");

interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

const checks = [
  { name: "lint", run: () => buf("lint") },
  { name: "generated code", run: checkGenerated },
  { name: "breaking changes", run: checkBreaking },
];
let failures = 0;
for (const { name, run } of checks) {
  const { ok, text } = run();
  failures += ok ? 0 : 1;
  console.log(`proto: ${name}: ${ok ? "ok" : "failed"}${text === "" ? "" : `\n${text}`}`);
}
process.exitCode = failures === 0 ? 0 : 1;

function checkGenerated(): Outcome {
  const folder = mkdtempSync(join(tmpdir(), "courtside-proto-"));
  try {
    const generated = buf("generate", "--output", folder);
    if (!generated.ok) return generated;
    const fresh = readTree(join(folder, "gen"));
    const committed = readTree(join(PROTO, "gen"));
    const files = [...new Set([...fresh.keys(), ...committed.keys()])].toSorted();
    const stale = files.filter((file) => fresh.get(file) !== committed.get(file));
    if (stale.length === 0) return { ok: true, text: "" };
    const text = `proto/gen differs from what the .proto files give: ${stale.join(", ")}; run npm run proto`;
    return { ok: false, text };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function checkBreaking(): Outcome {
  const baseline = ["origin/main", "HEAD~1"].find((ref) => hasContracts(ref) && !isHead(ref));
  if (baseline === undefined) {
    return { ok: true, text: "skipped: there is no earlier commit to compare with" };
  }
  const commit = git("rev-parse", baseline).text;
  const outcome = buf("breaking", "--against", `../.git#ref=${commit},subdir=proto`);
  return { ok: outcome.ok, text: outcome.ok ? "" : `against ${baseline}\n${outcome.text}` };
}

function hasContracts(ref: string): boolean {
  return git("cat-file", "-e", `${ref}:proto/buf.yaml`).ok;
}

function isHead(ref: string): boolean {
  return git("rev-parse", ref).text === git("rev-parse", "HEAD").text;
}

function readTree(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name))
      .map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]),
  );
}

function buf(...args: string[]): Outcome {
  return run("buf", args, PROTO);
}

function git(...args: string[]): Outcome {
  return run("git", args, ROOT);
}

function run(program: string, args: readonly string[], cwd: string): Outcome {
  // The plugins that buf calls are found on PATH, as in an npm script.
  const PATH = [join(ROOT, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
  const result = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH },
  });
  if (result.error !== undefined) return { ok: false, text: result.error.message };
  return { ok: result.status === 0, text: `${result.stdout}${result.stderr}`.trim() };
}
