import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "../base/log.ts";
import { describeTransactionalSinkContract } from "../testing/transactional-sink-contract.ts";
import { FileSink, FileSinkError, type FileSinkOptions } from "./file-sink.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "courtside-files-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function sink(changes: Partial<FileSinkOptions<number>> = {}): FileSink<number> {
  return new FileSink<number>({
    uid: "rows",
    job: "job/r0",
    directory,
    line: (number) => JSON.stringify({ number }),
    log: silentLog,
    ...changes,
  });
}

async function files(): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

async function stored(): Promise<number[]> {
  const numbers: number[] = [];
  for (const path of (await files()).filter((name) => name.endsWith(".jsonl")))
    for (const line of (await readFile(path, "utf8")).trimEnd().split("\n"))
      numbers.push((JSON.parse(line) as { number: number }).number);
  return numbers;
}

describeTransactionalSinkContract(() => ({ start: (job) => sink({ job }), stored }));

test("a crash before the rename leaves nothing that a reader sees, and the next start removes it", async () => {
  const crashing = sink({
    fault: () => {
      throw new Error("crash");
    },
  });
  await crashing.open();
  crashing.write(1);
  const blocks = crashing.seal(1);
  await expect(crashing.commit(blocks)).rejects.toThrow(/crash/);
  expect(await stored()).toEqual([]);
  expect(await files()).toHaveLength(1);
  const next = sink();
  await next.open();
  expect(await files()).toEqual([]);
  await next.commit(blocks);
  expect(await files()).toEqual([join(directory, "job/r0/rows/0000000001.jsonl")]);
});

test("no name of a job or a sink leads out of the directory", async () => {
  const climbing = sink({ job: "../..", uid: ".." });
  await climbing.open();
  climbing.write(1);
  await climbing.commit(climbing.seal(1));
  expect(await files()).toHaveLength(1);
});

test("a place that is no directory is refused at the start", async () => {
  await writeFile(join(directory, "job"), "");
  await expect(sink().open()).rejects.toThrow(FileSinkError);
});
