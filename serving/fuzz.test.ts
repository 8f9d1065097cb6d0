import { connect as dial } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, status, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom, type Random } from "../base/random.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { PredictRequestSchema } from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { startTestServing, STATE, type TestServing } from "../tests/support/serving.ts";

const SEED = Number(process.env["SEED"] ?? 20_261_125);
const REQUESTS = 10_000;
/** Requests at once; a connection takes 256. */
const CONCURRENCY = 50;
/** After the warm-up nothing may stay; a collector leaves a few megabytes unswept. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;
const STACK = /\n\s+at |node_modules|\.[tj]s:\d/u;

let server: TestServing;
let client: Client;

beforeAll(async () => {
  server = await startTestServing();
  client = new Client(`127.0.0.1:${server.serving.port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.close();
});

const same = (bytes: Buffer): Buffer => bytes;

interface Told {
  readonly code: number;
  readonly text: string;
}

function grpc(path: string, request: Buffer): Promise<Told> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, request, (error: ServiceError | null) => {
      resolve({ code: error?.code ?? 0, text: error?.details ?? "" });
    });
  });
}

async function http(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<Told> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(server.base + path, { method: "POST", body, headers });
  return { code: response.status, text: await response.text() };
}

const value = {
  gameId: "0022300001",
  homeTeam: "BOS",
  awayTeam: "NYK",
  homeScore: 88,
  awayScore: 84,
  period: 4,
  clockRemainingS: 312.4,
  possession: Side.HOME,
};
const GOOD = Buffer.from(
  toBinary(PredictRequestSchema, create(PredictRequestSchema, { input: { case: "state", value } })),
);
const TEXT = JSON.stringify(STATE);

/** A good message with some of its bytes changed, cut or doubled. */
function mutated(random: Random, good: Buffer): Buffer {
  const bytes = Buffer.from(good);
  for (let i = Math.floor(random.next() * 4); i >= 0; i -= 1) {
    bytes[Math.floor(random.next() * bytes.length)] = Math.floor(random.next() * 256);
  }
  const cut = bytes.subarray(0, Math.ceil(random.next() * bytes.length));
  return random.next() < 0.3 ? cut : random.next() < 0.1 ? Buffer.concat([bytes, cut]) : bytes;
}

const ODD = ["NaN", "-1", "1e999", "null", "[]", "{}", '"\\ud800"', "true", "4294967296", '"🏀"'];

/** A good body with one of its values exchanged for an odd one. */
function oddJson(random: Random): string {
  const names = Object.keys(STATE);
  const name = names[Math.floor(random.next() * names.length)] ?? "period";
  const odd = ODD[Math.floor(random.next() * ODD.length)] ?? "null";
  return TEXT.replace(new RegExp(`"${name}":[^,}]+`, "u"), `"${name}":${odd}`);
}

const PREDICT = "/courtside.v1.PredictService/Predict";
const BATCH = "/courtside.v1.PredictService/PredictBatch";
const INFER = "/inference.GRPCInferenceService/ModelInfer";

function request(random: Random): Promise<Told> {
  const kind = random.next();
  if (kind < 0.3) return grpc(PREDICT, mutated(random, GOOD));
  if (kind < 0.4) {
    const part = mutated(random, GOOD);
    return grpc(BATCH, Buffer.concat([Buffer.of(10, part.length & 0x7f), part]));
  }
  if (kind < 0.5) return grpc(INFER, mutated(random, GOOD));
  if (kind < 0.8) return http("/v1/predict", oddJson(random));
  if (kind < 0.9) return http("/predict", Uint8Array.from(mutated(random, Buffer.from(TEXT))));
  return http("/v2/models/win-probability/infer", oddJson(random));
}

function heapBytes(): number {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

/** What callers may be told: never INTERNAL, UNKNOWN or 500. */
const KNOWN_CODES: ReadonlySet<number> = new Set([
  status.OK,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  200,
  400,
  404,
  413,
]);

test(`${REQUESTS} requests at random leave the server answering, its memory flat, and tell no stack (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const strange: Told[] = [];
  let left = REQUESTS;
  const worker = async (until: number): Promise<void> => {
    while (left > until) {
      left -= 1;
      const told = await request(random);
      if (!KNOWN_CODES.has(told.code) || STACK.test(told.text)) strange.push(told);
    }
  };
  const run = (until: number) =>
    Promise.all(Array.from({ length: CONCURRENCY }, () => worker(until)));
  await run(REQUESTS * 0.7);
  const before = heapBytes();
  await run(0);
  expect(strange).toEqual([]);
  expect(heapBytes() - before).toBeLessThan(MAX_GROWTH_BYTES);
  expect(await http("/predict", TEXT)).toMatchObject({ code: 200 });
  expect(await grpc(PREDICT, GOOD)).toEqual({ code: 0, text: "" });
}, 300_000);

test("bytes that are no HTTP/2, and callers that hang up in the middle, do not hurt others", async () => {
  const random = seededRandom(SEED);
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const settings = Buffer.from("000000040000000000", "hex");
  for (let i = 0; i < 100; i += 1) {
    const noise = Buffer.from(Array.from({ length: 200 }, () => Math.floor(random.next() * 256)));
    const text = i % 2 === 0 ? noise : Buffer.concat([preface, settings, noise]);
    await new Promise<void>((resolve) => {
      const socket = dial(server.serving.port, "127.0.0.1", () => {
        socket.write(text, () => (i % 3 === 0 ? socket.end() : socket.destroy()));
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      setTimeout(() => socket.destroy(), 200).unref();
    });
  }
  // A stream whose caller says no more without having said anything ends well; one that is cancelled is forgotten.
  const half = client.makeBidiStreamRequest(
    "/courtside.v1.PredictService/PredictStream",
    same,
    same,
  );
  const ended = new Promise<number>((resolve) => half.on("status", ({ code }) => resolve(code)));
  half.resume();
  half.end();
  expect(await ended).toBe(status.OK);
  const left = client.makeBidiStreamRequest(
    "/courtside.v1.PredictService/PredictStream",
    same,
    same,
  );
  left.on("error", () => {});
  left.write(Buffer.concat([Buffer.of(0x12, GOOD.length), GOOD]));
  left.cancel();
  expect(await grpc(PREDICT, GOOD)).toEqual({ code: 0, text: "" });
}, 60_000);

test("a message of 5 MB is refused by its size before it is read", async () => {
  const told = await grpc(BATCH, Buffer.alloc(5 * 1024 * 1024));
  expect(told.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(told.text).toMatch(/larger than max.*4194304/u);
});

test("work whose deadline has passed is not run", async () => {
  const before = server.registry.champion.batcher.waitingRows;
  const told = await new Promise<Told>((resolve) => {
    const options = { deadline: Date.now() - 1 };
    client.makeUnaryRequest(PREDICT, same, same, GOOD, options, (error: ServiceError | null) => {
      resolve({ code: error?.code ?? 0, text: error?.details ?? "" });
    });
  });
  expect(told.code).toBe(status.DEADLINE_EXCEEDED);
  const request = create(PredictRequestSchema, { input: { case: "state", value } });
  const late = { cancelled: false, deadlineMs: Date.now() };
  const { predictor } = server.serving;
  await expect(predictor.predict(request, late)).rejects.toThrow("deadline");
  await expect(predictor.predictBatch([request], late)).rejects.toThrow("deadline");
  expect(server.registry.champion.batcher.waitingRows).toBe(before);
});
