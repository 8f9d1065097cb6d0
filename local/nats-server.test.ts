import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findNatsServer, NatsServerMissingError } from "./find-nats-server.ts";
import { sha256Of } from "./install-nats-server.ts";
import { LockedError } from "./lock.ts";
import { NatsServerFailedError, startNatsServer, type NatsServer } from "./nats-server.ts";
import { identify, isRunning } from "./process.ts";

const binary = await findNatsServer({ install: false }).catch(() => undefined);
if (binary === undefined) console.warn("skipped: tests of the local broker, no nats-server found");
const withServer = test.skipIf(binary === undefined);

let folder = "";
const started: NatsServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-nats-"));
});

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(port = 0): Promise<NatsServer> {
  if (binary === undefined) throw new Error("no binary");
  const server = await startNatsServer({
    binary,
    storeFolder: join(folder, "nats"),
    logFile: join(folder, "nats.log"),
    port,
  });
  started.push(server);
  return server;
}

withServer("what was stored before a stop is there after the next start", async () => {
  const first = await start();
  await publish(first.url, "one");
  await first.stop();
  const second = await start();
  expect(await publish(second.url, "two")).toBe(2);
});

withServer("a stop leaves neither process nor lock", async () => {
  const server = await start();
  const identity = await identify(server.pid);
  await server.stop();
  expect(identity && (await isRunning(identity))).toBe(false);
  await expect(readFile(join(folder, "nats/lock"))).rejects.toThrow("ENOENT");
});

withServer("a second server on the same folder is refused", async () => {
  await start();
  await expect(start()).rejects.toThrow(LockedError);
});

withServer(
  "a server that outlived its killed starter is ended, and its messages kept",
  async () => {
    // The starter is a process of its own, so that it can be killed while the server lives on.
    const starter = spawn(
      process.execPath,
      ["cli/main.ts", "nats", "--port", "0", "--data", folder],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [line] = (await once(starter.stdout, "data")) as [Buffer];
    const { port } = JSON.parse(line.toString()) as { port: number };
    await publish(`nats://127.0.0.1:${port}`, "one");
    const { pid } = JSON.parse(await readFile(join(folder, "nats/server.json"), "utf8")) as {
      pid: number;
    };
    const orphan = await identify(pid);
    starter.kill("SIGKILL");
    await once(starter, "exit");
    expect(orphan && (await isRunning(orphan))).toBe(true);

    const server = await start(port);
    expect(orphan && (await isRunning(orphan))).toBe(false);
    expect(server.port).toBe(port);
    expect(await publish(server.url, "two")).toBe(2);
  },
);

withServer("a busy port is an error with the server's own words", async () => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  const attempt = start(port);
  await expect(attempt).rejects.toThrow(NatsServerFailedError);
  await expect(attempt).rejects.toThrow(`port ${port}`);
  blocker.close();
});

withServer("a named binary is used, and refused when it is not nats-server", async () => {
  const found = await findNatsServer({ explicitPath: binary?.path });
  expect(found).toMatchObject({ path: binary?.path, version: binary?.version });
  const other = join(folder, "other");
  await writeFile(other, "#!/bin/sh\necho v1.0.0\n");
  await chmod(other, 0o755);
  await expect(findNatsServer({ explicitPath: other })).rejects.toThrow("2.9.0 or newer");
  await expect(findNatsServer({ explicitPath: `${other}x` })).rejects.toThrow("cannot be run");
});

test("a server on PATH is found before one in the tools folder", async () => {
  const onPath = join(folder, "nats-server");
  await writeFile(onPath, "#!/bin/sh\necho nats-server: v2.11.3\n");
  await chmod(onPath, 0o755);
  const found = await findNatsServer({ environment: { PATH: folder }, toolsFolder: "/nowhere" });
  expect(found).toEqual({ path: onPath, version: "2.11.3", origin: "PATH" });
});

test("a named binary that is not there is an error of its own kind", async () => {
  const attempt = findNatsServer({ explicitPath: join(folder, "absent") });
  await expect(attempt).rejects.toThrow(NatsServerMissingError);
});

test("the checksum of a release archive is read from the release's list", () => {
  const sums = "aa11  nats-server-v2.10.27-linux-amd64.tar.gz\nbb22 *nats-server-v2.10.27.zip\n";
  expect(sha256Of(sums, "nats-server-v2.10.27-linux-amd64.tar.gz")).toBe("aa11");
  expect(sha256Of(sums, "nats-server-v2.10.27.zip")).toBe("bb22");
  expect(sha256Of(sums, "nats-server-v2.10.27-linux-arm64.tar.gz")).toBeUndefined();
});

async function publish(url: string, text: string): Promise<number> {
  const connection = await connect({ servers: url });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "KEPT", subjects: ["kept"] });
    return (await jetstream(connection).publish("kept", text)).seq;
  } finally {
    await connection.close();
  }
}
