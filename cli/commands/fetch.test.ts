import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { runProgram } from "../main.ts";

vi.setConfig({ testTimeout: 60_000 });

const NAME = "nbastatsv3_2023.tar.xz";
const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7919) % 251));
const CHUNK_SIZE_BYTES = 10_000;

const root = mkdtempSync(path.join(tmpdir(), "courtside-fetch-"));
afterAll(() => rmSync(root, { recursive: true }));
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** What the server does with requests for the file; the list is always right. */
interface Archive {
  /** Takes a request; false lets it be served as it should be. */
  misbehave(request: http.IncomingMessage, response: http.ServerResponse): boolean;
  readonly requests: { readonly range: string | undefined }[];
  url: string;
}

async function archive(misbehave: Archive["misbehave"] = () => false): Promise<Archive> {
  const made: Archive = { misbehave, requests: [], url: "" };
  const server = http.createServer((request, response) => {
    if (request.url === "/list") {
      const sha = createHash("sha1").update(`blob ${CONTENT.length}\0`).update(CONTENT);
      const entry = { name: NAME, size: CONTENT.length, sha: sha.digest("hex") };
      const link = `http://${request.headers.host ?? ""}/file`;
      response.end(JSON.stringify([{ ...entry, download_url: link }, { name: "README.md" }]));
      return;
    }
    made.requests.push({ range: request.headers.range });
    if (made.misbehave(request, response)) return;
    serve(request, response);
  });
  made.url = `${await listen(server)}/list`;
  return made;
}

function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const headers = { "content-length": CONTENT.length - from };
  response.writeHead(from > 0 ? 206 : 200, headers).end(CONTENT.subarray(from));
}

/** Sends the beginning and drops the connection. */
function breakOff(response: http.ServerResponse): true {
  response.writeHead(200, { "content-length": CONTENT.length });
  response.write(CONTENT.subarray(0, CHUNK_SIZE_BYTES), () => {
    setTimeout(() => response.destroy(), 50);
  });
  return true;
}

async function listen(server: http.Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let folders = 0;
function newFolder(): string {
  return path.join(root, String(++folders));
}

async function fetchSeason(
  url: string,
  to: string,
  more: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  const code = await runProgram({
    args: ["fetch", "--url", url, "--season", "2023-24", "--to", to, ...more],
    environment: {},
    signal: new AbortController().signal,
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
  });
  return { code, stdout, stderr };
}

test("a season comes whole, and is not fetched again while its checksum is right", async () => {
  const { url, requests } = await archive();
  const to = newFolder();
  expect((await fetchSeason(url, to)).stdout).toMatch(/^fetched .*2023\.tar\.xz \(0\.2 MB\)\n$/);
  expect(readFileSync(path.join(to, NAME))).toEqual(CONTENT);
  expect((await fetchSeason(url, to)).stdout).toMatch(/^kept /);
  expect(requests).toHaveLength(1);
  writeFileSync(path.join(to, NAME), Buffer.alloc(CONTENT.length));
  expect((await fetchSeason(url, to, ["--json"])).stdout).toContain('"outcome":"fetched"');
  expect(readFileSync(path.join(to, NAME))).toEqual(CONTENT);
});

test("a connection that breaks off is gone on from, within a run and after one", async () => {
  let broken = 0;
  const { url, requests } = await archive((_, response) => broken++ === 0 && breakOff(response));
  const to = newFolder();
  expect((await fetchSeason(url, to)).code).toBe(0);
  expect(requests.map(({ range }) => range)).toEqual([undefined, `bytes=${CHUNK_SIZE_BYTES}-`]);
  const later = newFolder();
  const file = path.join(later, NAME);
  await fetchSeason(url, later);
  rmSync(file);
  writeFileSync(`${file}.part`, CONTENT.subarray(0, 150_000));
  expect((await fetchSeason(url, later)).stdout).toMatch(/^resumed /);
  expect(requests.at(-1)?.range).toBe("bytes=150000-");
  expect(readFileSync(file)).toEqual(CONTENT);
});

test("a server that is busy is asked again after the time that it names", async () => {
  let refused = 0;
  const { url } = await archive((_, response) => {
    if (refused++ > 1) return false;
    response.writeHead(refused === 1 ? 429 : 503, { "retry-after": "0" }).end("busy");
    return true;
  });
  expect((await fetchSeason(url, newFolder())).code).toBe(0);
  expect(refused).toBe(3);
});

test("bytes that are not the archive's fail, and leave neither a file nor a part", async () => {
  const { url } = await archive((_, response) => {
    response.end(Buffer.alloc(CONTENT.length, 1));
    return true;
  });
  const to = newFolder();
  const { code, stderr } = await fetchSeason(url, to);
  expect(code).toBe(1);
  expect(stderr).toMatch(/the checksum is [0-9a-f]{40}, the archive says .*\[CHECKSUM\]/);
  expect(existsSync(path.join(to, NAME))).toBe(false);
  expect(existsSync(path.join(to, `${NAME}.part`))).toBe(false);
});

test("what the archive does not have or refuses is exit code 1, what makes no sense is 2", async () => {
  const { url } = await archive((_, response) => {
    response.writeHead(403).end();
    return true;
  });
  const to = newFolder();
  expect((await fetchSeason(url, to)).stderr).toMatch(/answers 403 Forbidden/);
  const missing = await fetchSeason(url, to, ["--playoffs", "--feed", "v2"]);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("the archive has no nbastats_po_2023.tar.xz");
  expect((await fetchSeason(url.replace("list", "file"), to)).stderr).toMatch(/403/);
  expect((await fetchSeason(url, to, ["--season", "2023-25"])).code).toBe(2);
  expect((await fetchSeason(url, to, ["--feed", "v9"])).stderr).toMatch(/must be v3 or v2/);
  expect((await fetchSeason(url, to, ["--list"])).stdout).toBe(`   0.2 MB  ${NAME}\n`);
});

test("proxy variables are honoured", async () => {
  const { url } = await archive();
  const target = new URL(url);
  const asked: string[] = [];
  const proxy = http.createServer();
  // Whatever host is asked for, the archive of the test answers.
  proxy.on("connect", (request, client: Socket) => {
    asked.push(request.url ?? "");
    const server = connect(Number(target.port), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      server.pipe(client);
      client.pipe(server);
    });
    server.on("error", () => client.destroy());
    client.on("error", () => server.destroy());
  });
  proxy.on("request", (request, response) => {
    asked.push(request.url ?? "");
    const { pathname } = new URL(request.url ?? "", "http://none");
    const { host = "" } = request.headers;
    const forward = http.get(`${target.origin}${pathname}`, { headers: { host } }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forward.on("error", () => response.destroy());
  });
  const to = newFolder();
  const child = spawn(
    process.execPath,
    [
      path.join(import.meta.dirname, "../main.ts"),
      "fetch",
      "--season=2023",
      `--to=${to}`,
      "--url=http://archive.invalid/list",
    ],
    { env: { ...process.env, HTTP_PROXY: await listen(proxy), NO_PROXY: "" }, stdio: "ignore" },
  );
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.every((host) => host.includes("archive.invalid"))).toBe(true);
  expect(readFileSync(path.join(to, NAME))).toEqual(CONTENT);
});
