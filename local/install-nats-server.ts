import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorText } from "../base/errors.ts";

const execute = promisify(execFile);

/** Release that is fetched where there is no package manager: a version this project was measured with. */
const RELEASE = "v2.10.27";
const RELEASES_URL = "https://github.com/nats-io/nats-server/releases/download";
/** A package of 5 MB and the lists of a distribution come in seconds; a hanging mirror must not hang the start. */
const STEP_TIMEOUT_MS = 120_000;

/**
 * Puts a nats-server on this machine by the first way that works: Debian's package unpacked into the tools
 * folder (no service is started, nothing is written outside), Homebrew, or the official release archive.
 *
 * @param say - told each step.
 * @returns why the ways that were tried did not work; empty when the first did.
 */
export async function installNatsServer(
  toolsFolder: string,
  say: (text: string) => void,
): Promise<readonly string[]> {
  const failures: string[] = [];
  await mkdir(toolsFolder, { recursive: true });
  for (const [name, install] of [
    ["apt-get", unpackDebianPackage],
    ["brew", brewInstall],
    ["release archive", fetchRelease],
  ] as const) {
    if (name !== "release archive" && !(await hasCommand(name))) continue;
    const folder = await mkdtemp(join(toolsFolder, "install-"));
    try {
      await install(folder, toolsFolder, say);
      return failures;
    } catch (error) {
      failures.push(`${name}: ${firstLine(errorText(error))}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return failures;
}

type Say = (text: string) => void;

async function unpackDebianPackage(folder: string, toolsFolder: string, say: Say): Promise<void> {
  say(`apt-get download nats-server, unpacked into ${toolsFolder}`);
  try {
    await run("apt-get", ["download", "nats-server"], folder);
  } catch (error) {
    // A fresh machine or container has no package lists yet; only an administrator may fetch them.
    say("apt-get update, since the package lists do not have nats-server");
    const administrator = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
    const [program, ...args] = [...administrator, "apt-get", "update", "-qq"];
    try {
      await run(program, args, folder);
    } catch (updateError) {
      throw new Error(`${errorText(error)}; and apt-get update: ${errorText(updateError)}`, {
        cause: updateError,
      });
    }
    await run("apt-get", ["download", "nats-server"], folder);
  }
  const archive = (await readdir(folder)).find((file) => file.endsWith(".deb")) ?? "";
  await run("dpkg-deb", ["-x", archive, "unpacked"], folder);
  await putInPlace(join(folder, "unpacked/usr/sbin/nats-server"), toolsFolder);
}

async function brewInstall(folder: string, _toolsFolder: string, say: Say): Promise<void> {
  say("brew install nats-server");
  await run("brew", ["install", "--quiet", "nats-server"], folder);
}

async function fetchRelease(folder: string, toolsFolder: string, say: Say): Promise<void> {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const name = `nats-server-${RELEASE}-${process.platform}-${architecture}`;
  const archive = `${name}.tar.gz`;
  say(`${RELEASES_URL}/${RELEASE}/${archive}, checked against the release's SHA256SUMS`);
  const [bytes, sums] = await Promise.all([
    download(`${RELEASES_URL}/${RELEASE}/${archive}`),
    download(`${RELEASES_URL}/${RELEASE}/SHA256SUMS`),
  ]);
  const expected = sha256Of(sums.toString("utf8"), archive);
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== expected) {
    throw new Error(`${archive} has SHA-256 ${actual}, the release says ${String(expected)}`);
  }
  await writeFile(join(folder, archive), bytes);
  await run("tar", ["-xzf", archive], folder);
  await putInPlace(join(folder, name, "nats-server"), toolsFolder);
}

/** @returns checksum of `file` in the text of a SHA256SUMS file, or undefined when it is not listed. */
export function sha256Of(sums: string, file: string): string | undefined {
  return sums
    .split("\n")
    .map((line) => line.trim().split(/\s+\*?/))
    .find(([, name]) => name === file)?.[0];
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(STEP_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

async function putInPlace(binary: string, toolsFolder: string): Promise<void> {
  await chmod(binary, 0o755);
  await rename(binary, join(toolsFolder, "nats-server"));
}

async function run(program: string, args: readonly string[], folder: string): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await execute(program, args, { cwd: folder, timeout: STEP_TIMEOUT_MS, env });
}

async function hasCommand(name: string): Promise<boolean> {
  try {
    await execute(name, ["--version"]);
    return true;
  } catch {
    // Not there, or not usable: the next way is tried.
    return false;
  }
}

function firstLine(text: string): string {
  return text.split("\n").slice(0, 2).join(" ");
}
