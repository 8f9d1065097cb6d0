import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorText } from "../base/errors.ts";
import { findNatsServer } from "../local/find-nats-server.ts";
import { addUp, countTests, type TestCounts, type VitestReport } from "./test-report.ts";

/**
 * The whole test suite: format, lint, types, contracts, tests. Installs what they need where it can, and says which
 * tests are skipped where it cannot. The last line is `N passed, N failed[, N skipped]`; a check counts as a test.
 */
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PATH = [join(ROOT, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
const CHROMIUM_PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
/** A browser is a download of 100 MB with its libraries. */
const INSTALL_TIMEOUT_MS = 600_000;

const environment: NodeJS.ProcessEnv = { ...process.env, PATH, ...(await tools()) };
const counts = addUp([
  check("format", "prettier", "--check", "--log-level", "warn", "."),
  check("lint", "oxlint", "--type-aware", "--deny-warnings", "."),
  check("types", "tsc", "-p", "."),
  check("contracts", "node", "scripts/proto-check.ts"),
  runTests(process.argv.slice(2)),
]);
const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
process.exitCode = counts.failed === 0 ? 0 : 1;
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);

function check(name: string, program: string, ...args: string[]): TestCounts {
  console.log(`== ${name}: ${program} ${args.join(" ")}`);
  const { status, error } = spawnSync(program, args, {
    cwd: ROOT,
    stdio: "inherit",
    env: environment,
  });
  if (error !== undefined) console.log(`${program} cannot be run: ${error.message}`);
  const ok = status === 0;
  console.log(`== ${name}: ${ok ? "ok" : "failed"}`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

function runTests(filters: readonly string[]): TestCounts {
  const folder = mkdtempSync(join(tmpdir(), "courtside-test-"));
  const outputFile = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${outputFile}`];
  console.log("== tests: vitest run");
  try {
    const { status } = spawnSync("vitest", ["run", ...reporters, ...filters], {
      cwd: ROOT,
      stdio: "inherit",
      env: environment,
    });
    if (!existsSync(outputFile)) {
      console.log("vitest ended without a report");
      return { passed: 0, failed: 1, skipped: 0 };
    }
    const report = JSON.parse(readFileSync(outputFile, "utf8")) as VitestReport;
    return countTests(report, status === 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Finds or installs what the tests of real processes need. */
async function tools(): Promise<NodeJS.ProcessEnv> {
  const found: NodeJS.ProcessEnv = {};
  try {
    const nats = await findNatsServer({
      explicitPath: process.env["COURTSIDE_NATS_SERVER"],
      say: console.log,
    });
    console.log(`nats-server ${nats.version}: ${nats.path}`);
    found["COURTSIDE_NATS_SERVER"] = nats.path;
  } catch (error) {
    console.log(`Tests that need nats-server are skipped: ${errorText(error)}`);
  }
  const chromium = findChromium() ?? installChromium();
  if (chromium === undefined) {
    console.log("Tests that need a browser are skipped: install Chromium to run them");
  } else {
    console.log(`Chromium: ${chromium}`);
    found["COURTSIDE_CHROMIUM"] = chromium;
  }
  if (!existsSync(process.env["COURTSIDE_NBA"] ?? join(ROOT, "../shared/nba"))) {
    console.log(
      "Tests on real seasons are skipped: there is no ../shared/nba and no COURTSIDE_NBA",
    );
  }
  return found;
}

function findChromium(): string | undefined {
  return [process.env["COURTSIDE_CHROMIUM"] ?? "", ...CHROMIUM_PLACES].find((path) =>
    existsSync(path),
  );
}

function installChromium(): string | undefined {
  const prefix = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const aptGet = (...args: string[]): boolean => {
    const [program = "", ...rest] = [...prefix, "apt-get", ...args];
    console.log(`${program} ${rest.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    return (
      spawnSync(program, rest, { stdio: "inherit", timeout: INSTALL_TIMEOUT_MS, env }).status === 0
    );
  };
  if (!existsSync("/usr/bin/apt-get")) return undefined;
  const install = ["install", "-y", "-qq", "--no-install-recommends", "chromium"];
  if (!aptGet(...install) && aptGet("update", "-qq")) aptGet(...install);
  return findChromium();
}
