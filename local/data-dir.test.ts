import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  checkFreeSpace,
  createRunDir,
  DataDirError,
  DiskFullError,
  latestDataDir,
  layoutOf,
  openDataDir,
  pointLatestTo,
} from "./data-dir.ts";
import { acquireLock, LockedError } from "./lock.ts";
import { identify, identifySelf, isRunning } from "./process.ts";
import { endOrphans, readRunFile, runningUrls, writeRunFile } from "./run-file.ts";

let home = "";

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "courtside-home-"));
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

const URLS = { page: "p", nats: "n", clickhouse: "c", serving: "s" };

test("a directory in use is refused with the process that uses it", async () => {
  const first = await openDataDir(join(home, "data"));
  const second = openDataDir(join(home, "data"));
  await expect(second).rejects.toThrow(LockedError);
  await expect(second).rejects.toThrow(`process ${process.pid}`);
  await first.release();
  const third = await openDataDir(join(home, "data"));
  await third.release();
});

test("the lock of a process that was killed is taken over", async () => {
  const path = join(home, "lock");
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const identity = await identify(other.pid ?? 0);
  await writeFile(path, JSON.stringify({ pid: other.pid, start_time: identity?.startTime }));
  await expect(acquireLock(path, "it")).rejects.toThrow(`process ${other.pid}`);
  other.kill("SIGKILL");
  await once(other, "exit");
  const lock = await acquireLock(path, "it");
  await lock.release();
});

test("a lock whose process id belongs to a later process is taken over", async () => {
  const path = join(home, "lock");
  await writeFile(path, JSON.stringify({ pid: process.pid, start_time: "before the machine" }));
  const lock = await acquireLock(path, "it");
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ pid: process.pid });
  await lock.release();
});

test("of many that take a stale lock at once, one gets it", async () => {
  const path = join(home, "lock");
  await writeFile(path, JSON.stringify({ pid: process.pid, start_time: "long ago" }));
  const script = `
    import { acquireLock } from ${JSON.stringify(new URL("lock.ts", import.meta.url).href)};
    await acquireLock(${JSON.stringify(path)}, "it").then(
      () => { console.log("got"); setInterval(() => {}, 1000); },
      () => console.log("refused"),
    );`;
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", script]),
  );
  const answers = await Promise.all(
    children.map(async ({ stdout }) => String(((await once(stdout, "data")) as [Buffer])[0])),
  );
  for (const child of children) child.kill("SIGKILL");
  expect(answers.filter((answer) => answer.startsWith("got"))).toHaveLength(1);
});

test("a path that is a file, and a full disk, are clear errors", async () => {
  await writeFile(join(home, "file"), "");
  const attempt = openDataDir(join(home, "file"));
  await expect(attempt).rejects.toThrow(DataDirError);
  await expect(attempt).rejects.toThrow("is not a directory");
  await expect(checkFreeSpace(home, Number.MAX_SAFE_INTEGER)).rejects.toThrow(DiskFullError);
});

test("the last three runs are kept, and those that are in use", async () => {
  const inUse = await openDataDir(await createRunDir(home));
  const later: string[] = [];
  for (let run = 0; run < 4; run += 1) later.push(await createRunDir(home));
  const kept = (await readdir(join(home, "runs"))).map((name) => join(home, "runs", name));
  expect(kept.toSorted()).toEqual([inUse.root, ...later.slice(-3)].toSorted());
  await inUse.release();
});

test("the directory that was used last is found again", async () => {
  expect(await latestDataDir(home)).toBeUndefined();
  const data = await openDataDir(join(home, "b"));
  await data.release();
  await pointLatestTo(join(home, "a"), home);
  await pointLatestTo(data.root, home);
  expect(await latestDataDir(home)).toBe(data.root);
  await rm(data.root, { recursive: true });
  expect(await latestDataDir(home)).toBeUndefined();
});

test("addresses of a run are told only while it runs", async () => {
  const data = await openDataDir(join(home, "data"));
  await writeRunFile(data.root, { started_at: "now", urls: URLS, processes: [] });
  expect(await runningUrls(data.root)).toEqual(URLS);
  await data.release();
  expect(await runningUrls(data.root)).toBeUndefined();
  expect(await readRunFile(data.root)).toMatchObject({ urls: URLS });
});

test("processes of a killed run are ended, but not later ones with the same id", async () => {
  const root = join(home, "data");
  const data = await openDataDir(root);
  const orphan = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const identity = await identify(orphan.pid ?? 0);
  const self = await identifySelf();
  await writeRunFile(root, {
    started_at: "now",
    urls: URLS,
    processes: [
      { name: "insight", pid: orphan.pid ?? 0, start_time: identity?.startTime ?? "" },
      { name: "serve", pid: self.pid, start_time: "another process" },
    ],
  });
  expect(await endOrphans(root)).toEqual(["insight"]);
  expect(identity && (await isRunning(identity))).toBe(false);
  await expect(readFile(layoutOf(root).runFile)).rejects.toThrow("ENOENT");
  await data.release();
});
