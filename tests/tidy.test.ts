import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

/** Style that a machine can check. Each test lists what offends, with the way out in its title. */

const ROOT = join(import.meta.dirname, "..");

/** Tracked and new files, as paths from the root. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && !path.startsWith("proto/gen/") && existsSync(join(ROOT, path)));

const text = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const sources = files.filter((path) => /\.tsx?$/.test(path));
const isTest = (path: string): boolean => path.endsWith(".test.ts") || path.startsWith("tests/");
const production = sources.filter((path) => !isTest(path));

/** What a file imports from this repository, as paths from the root. */
function importsOf(path: string): string[] {
  return [...text(path).matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)].map((match) =>
    normalize(join(dirname(path), match[1] ?? "")),
  );
}

/**
 * Who may import whom: a file in `from` (the longest prefix counts) may import from its own folder and from
 * what is listed. The runtime knows streams and no basketball; basketball knows no runtime.
 */
const MAY_IMPORT: readonly { readonly from: string; readonly to: readonly string[] }[] = [
  { from: "base/", to: [] },
  { from: "proto/", to: [] },
  { from: "operators/", to: ["base/", "proto/gen/courtside/v1/checkpoint_pb.ts"] },
  { from: "testing/", to: ["operators/", "base/", "proto/"] },
  // Conformance cases look at the structures inside, which are not public.
  { from: "conformance/", to: ["operators/", "testing/", "base/"] },
  { from: "connectors/", to: ["operators/", "base/", "proto/gen/courtside/v1/checkpoint_pb.ts"] },
  { from: "features/", to: ["base/", "proto/"] },
  {
    from: "features/testing/",
    to: ["features/", "testing/", "data/", "base/", "proto/"],
  },
  { from: "telemetry/", to: ["base/"] },
  { from: "serving/", to: ["features/", "base/", "proto/"] },
  {
    from: "training/",
    to: ["serving/", "features/", "jobs/backfill/mod.ts", "data/", "base/", "proto/"],
  },
  { from: "data/", to: ["features/", "base/", "proto/"] },
  {
    from: "jobs/",
    to: ["operators/", "connectors/", "features/", "data/", "serving/client.ts", "base/", "proto/"],
  },
  { from: "bench/", to: ["operators/", "base/", "proto/gen/courtside/v1/checkpoint_pb.ts"] },
  { from: "dashboard/", to: ["base/", "proto/"] },
  // Boards name the model's inputs.
  { from: "dashboard/grafana/", to: ["base/", "features/"] },
  { from: "local/", to: ["base/"] },
  {
    from: "cli/",
    to: [
      "base/",
      "conformance/",
      "connectors/",
      "data/",
      "dashboard/",
      "features/",
      "jobs/",
      "local/",
      "operators/",
      "proto/",
      "serving/",
      "telemetry/",
      "training/",
    ],
  },
];

test("imports follow the table: move the code, or change the table with a reason", () => {
  const offences: string[] = [];
  for (const path of production) {
    const rule = MAY_IMPORT.findLast(({ from }) => path.startsWith(from));
    if (rule === undefined) continue;
    for (const target of importsOf(path))
      if (![rule.from, ...rule.to].some((allowed) => target.startsWith(allowed)))
        offences.push(`${path} imports ${target}`);
  }
  expect(offences).toEqual([]);
});

test("operators read no clock, no randomness and no timers: take them from the context", () => {
  const banned =
    /\bDate\.now\b|\bnew Date\b|\bMath\.random\b|\bset(?:Timeout|Interval)\b|\bperformance\./;
  const offences = production
    .filter((path) => path.startsWith("operators/"))
    .filter((path) => banned.test(text(path)));
  expect(offences).toEqual([]);
});

test("no TODO without an issue number and no FIXME: finish it or file it", () => {
  const offences = sources
    .filter((path) => path !== "tests/tidy.test.ts")
    .filter((path) => /\bTODO(?!\(#\d+\))|\bFIXME\b/.test(text(path)));
  expect(offences).toEqual([]);
});

test("every file is used: delete what nothing imports", () => {
  const used = new Set(sources.flatMap(importsOf));
  const entries =
    /^(?:cli\/main\.ts|dashboard\/page\/main\.tsx|cli\/commands\/|scripts\/|vitest\.config\.ts|tests\/)/;
  const scripts = text("package.json");
  const spawned = sources.map(text).join("\n");
  const offences = production
    .filter((path) => !used.has(path) && !entries.test(path) && !scripts.includes(path))
    // Worker threads and child processes are named in a URL or a path, not imported.
    .filter((path) => !spawned.includes(`/${path.split("/").at(-1) ?? ""}"`));
  expect(offences).toEqual([]);
});

test("every export of a mod.ts has a doc comment where it is declared", () => {
  const offences: string[] = [];
  for (const mod of production.filter((path) => path.endsWith("/mod.ts")))
    for (const [, names = "", from = ""] of text(mod).matchAll(
      /export (?:type )?\{([^}]*)\} from "([^"]+)"/g,
    )) {
      const declared = text(normalize(join(dirname(mod), from)));
      for (const name of names.split(",").map((each) => each.replace("type ", "").trim()))
        if (name !== "" && !isDocumented(declared, name)) offences.push(`${mod}: ${name}`);
    }
  expect(offences).toEqual([]);
});

/** True when the line above the declaration ends a doc comment, or one comment heads a group of states. */
function isDocumented(source: string, name: string): boolean {
  const declaration = new RegExp(
    `^export (?:abstract )?(?:async )?(?:interface|type|function|function\\*|class|const) ${name}\\b`,
    "m",
  );
  const at = source.search(declaration);
  return at > 0 && source.slice(0, at).trimEnd().endsWith("*/");
}
