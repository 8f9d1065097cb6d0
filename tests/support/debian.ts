import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { errorText } from "../../base/errors.ts";

const run = promisify(execFile);

/** Unpacked packages: beside the system, never in it. */
const FOLDER = fileURLToPath(new URL("../../.tools/debian/", import.meta.url));
const APT_SOURCES = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];
/** Newest packages; this machine's own suite has older ones, or none. */
const SUITE = "sid";
/** The lists are 11 MB; a mirror that hangs must not hang the tests. */
const STEP_TIMEOUT_MS = 120_000;

/**
 * A package of Debian's newest suite, unpacked into `.tools/debian/<name>` without touching the system: for tests
 * against newer servers and tools than the machine has.
 *
 * @returns its folder (`usr/bin/…` inside), or undefined where there is no such package or no Debian; `say` is told why.
 */
export async function newestDebianPackage(
  name: string,
  say: (text: string) => void = console.log,
): Promise<string | undefined> {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return folder;
  if (!existsSync("/usr/bin/apt-get")) {
    say(`no ${name} of Debian ${SUITE}: this system has no apt-get`);
    return undefined;
  }
  await mkdir(FOLDER, { recursive: true });
  const work = await mkdtemp(join(FOLDER, ".work-"));
  try {
    await download(name, work);
    await rename(join(work, "unpacked"), folder);
  } catch (error) {
    // Another process may have been faster.
    if (existsSync(folder)) return folder;
    say(`no ${name} of Debian ${SUITE}: ${errorText(error).split("\n")[0] ?? ""}`);
    return undefined;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function download(name: string, work: string): Promise<void> {
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const list = join(work, "sources.list");
  await writeFile(list, `deb [signed-by=${keyring}] ${await mirror()} ${SUITE} main\n`);
  for (const folder of ["lists/partial", "cache/archives/partial"])
    await mkdir(join(work, folder), { recursive: true });
  const places = {
    "Dir::Etc::SourceList": list,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "APT::Sandbox::User": process.env["USER"] ?? "root",
  };
  const options = Object.entries(places).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const step = { cwd: work, timeout: STEP_TIMEOUT_MS };
  await run("apt-get", [...options, "-qq", "update"], step);
  await run("apt-get", [...options, "-qq", "download", name], step);
  const archive = (await readdir(work)).find((file) => file.endsWith(".deb"));
  if (archive === undefined) throw new Error(`apt-get brought no ${name}`);
  await run("dpkg", ["-x", archive, "unpacked"], step);
}

/** The mirror that this machine uses for Debian's main archive. */
async function mirror(): Promise<string> {
  for (const source of APT_SOURCES) {
    if (!existsSync(source)) continue;
    const files = source.endsWith(".d")
      ? (await readdir(source)).map((file) => join(source, file))
      : [source];
    for (const file of files) {
      const found = /https?:\/\/\S+\/debian\/?(?=\s)/.exec(await readFile(file, "utf8"));
      if (found !== null) return found[0];
    }
  }
  throw new Error("apt has no Debian mirror");
}
