/** What the benchmarks of the scoring server share: the server as a process of its own, and load from this one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import {
  PredictRequestSchema,
  PredictStreamRequestSchema,
  type PredictRequest,
} from "../../proto/gen/courtside/v1/predict_service_pb.ts";

const ROOT = path.join(import.meta.dirname, "../..");
/** The runner may be an older Node than the program needs. */
const NODE = path.join(ROOT, "node_modules/node/bin/node");

export interface ServerProcess {
  readonly address: string;
  /** `host:port` of HTTP; of no use without `--http-port`. */
  readonly http: string;
  /** Resident memory, bytes. */
  memoryBytes(): Promise<number>;
  stop(): Promise<void>;
}

/** `courtside serve` on free ports. */
export async function startServer(
  models: string,
  flags: readonly string[] = [],
): Promise<ServerProcess> {
  const args = [path.join(ROOT, "cli/main.ts"), "serve", "--port", "0", "--models", models];
  const child = spawn(NODE, [...args, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { port, http_port: httpPort } = JSON.parse(line) as { port: number; http_port?: number };
  return {
    address: `127.0.0.1:${port}`,
    http: `127.0.0.1:${httpPort ?? 0}`,
    async memoryBytes() {
      const { readFile } = await import("node:fs/promises");
      const status = await readFile(`/proc/${String(child.pid)}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1] ?? 0) * 1024;
    },
    async stop() {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

/** A state as callers know it: nine fields. */
export function stateRequest(homeScore = 88): PredictRequest {
  const value = {
    gameId: "0022300001",
    homeTeam: "BOS",
    awayTeam: "NYK",
    homeScore,
    awayScore: 84,
    period: 4,
    clockRemainingS: 312.4,
    possession: Side.HOME,
    homePregameWinProb: 0.61,
  };
  return create(PredictRequestSchema, { input: { case: "state", value } });
}

/** Calls with bytes that are ready, so that the client costs as little as it can. */
export interface RawClient {
  /** @returns an error's status, 0 without one. */
  call(path: string, request: Buffer): Promise<number>;
  /** Sends `count` states on one stream, with at most `window` unanswered; resolves at the last answer. */
  stream(count: number, window: number): Promise<void>;
  close(): void;
}

const EMPTY_PATH = "/inference.GRPCInferenceService/ServerLive";
const PREDICT_PATH = "/courtside.v1.PredictService/Predict";
const STREAM_PATH = "/courtside.v1.PredictService/PredictStream";
const same = (bytes: Buffer): Buffer => bytes;

export const EMPTY = { path: EMPTY_PATH, request: Buffer.alloc(0) };
export const PREDICT = {
  path: PREDICT_PATH,
  request: Buffer.from(toBinary(PredictRequestSchema, stateRequest())),
};

export function rawClient(address: string): RawClient {
  const client = new Client(address, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  const metadata = new Metadata();
  const request = create(PredictStreamRequestSchema, { id: 7n, request: stateRequest() });
  const streamed = Buffer.from(toBinary(PredictStreamRequestSchema, request));
  return {
    call: (method, bytes) =>
      new Promise((resolve) => {
        const deadline = Date.now() + 10_000;
        client.makeUnaryRequest(method, same, same, bytes, metadata, { deadline }, (error) => {
          resolve(error?.code ?? 0);
        });
      }),
    stream: (count, window) =>
      new Promise((resolve, reject) => {
        const stream = client.makeBidiStreamRequest(STREAM_PATH, same, same);
        let sent = 0;
        let answered = 0;
        const send = (): void => {
          while (sent < count && sent - answered < window) {
            sent += 1;
            stream.write(streamed);
          }
          if (sent === count) stream.end();
        };
        stream.on("data", () => {
          answered += 1;
          if (sent < count && sent - answered <= window / 2) send();
        });
        stream.on("error", reject);
        stream.on("end", () =>
          answered === count ? resolve() : reject(new Error("answers lost")),
        );
        send();
      }),
    close: () => client.close(),
  };
}

/** Keeps `concurrency` calls going. @returns calls a second. */
export async function closedLoop(
  call: () => Promise<unknown>,
  concurrency: number,
  forMs: number,
): Promise<number> {
  const startMs = performance.now();
  let calls = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - startMs < forMs) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return (calls / (performance.now() - startMs)) * 1_000;
}

/**
 * Starts calls at a rate whatever becomes of those before, as callers do who do not know of each other.
 * @returns once all are over.
 */
export async function openLoop(
  call: () => Promise<void>,
  ratePerS: number,
  forMs: number,
): Promise<number> {
  const startMs = performance.now();
  let started = 0;
  const calls = new Set<Promise<void>>();
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const elapsedMs = Math.min(forMs, performance.now() - startMs);
      for (; started < (elapsedMs / 1_000) * ratePerS; started += 1) {
        const one = call().finally(() => calls.delete(one));
        calls.add(one);
      }
      if (elapsedMs >= forMs) resolve();
      else setTimeout(tick, 1);
    };
    tick();
  });
  await Promise.all(calls);
  return started;
}

/** @param share - 0.5 for the median. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return Number((sorted[at] ?? Number.NaN).toFixed(2));
}
