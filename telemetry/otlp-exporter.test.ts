import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { silentLog } from "../base/log.ts";
import { noMetrics } from "../base/metrics.ts";
import { createTracing } from "./tracing.ts";

interface Received {
  readonly url: string;
  readonly type: string;
  readonly body: Buffer;
}

let server: Server | undefined;

afterEach(() => {
  server?.close();
});

async function collector(status: number): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { url = "", headers } = request;
    const body = await buffer(request);
    received.push({ url, type: headers["content-type"] ?? "", body });
    response.writeHead(status).end();
  };
  const listening = createServer((request, response) => void take(request, response));
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, received };
}

/** Sums of counters by name. */
function counting(): { metrics: typeof noMetrics; sums: Map<string, number> } {
  const sums = new Map<string, number>();
  const counter = (name: string) => ({
    add: (value: number) => void sums.set(name, (sums.get(name) ?? 0) + value),
  });
  return { metrics: { ...noMetrics, counter }, sums };
}

test("with a Collector named spans go there as Protobuf, and none to the store", async () => {
  const { url, received } = await collector(200);
  const { metrics, sums } = counting();
  const clickhouse = { insert: () => Promise.reject(new Error("the store must not be asked")) };
  const options = { service: "otlp", clickhouse, otlpEndpoint: `${url}/`, log: silentLog, metrics };
  const tracing = await createTracing(options);
  const span = tracing.start("play", { attributes: { "courtside.game_id": "0022300001" } });
  span.end();
  await tracing.shutdown();
  expect(received.map((each) => [each.url, each.type])).toEqual([
    ["/v1/traces", "application/x-protobuf"],
  ]);
  const body = received[0]?.body ?? Buffer.alloc(0);
  expect(body.includes(Buffer.from(span.traceId, "hex"))).toBe(true);
  expect(body.includes("0022300001")).toBe(true);
  expect(body.includes("otlp")).toBe(true);
  expect(sums.get("courtside.spans.exported")).toBe(1);
});

test("spans that the Collector refuses are counted", async () => {
  const { url } = await collector(400);
  const { metrics, sums } = counting();
  const options = { service: "otlp", clickhouse: undefined, otlpEndpoint: url, log: silentLog };
  const tracing = await createTracing({ ...options, metrics });
  tracing.start("play").end();
  await tracing.shutdown();
  expect(sums.get("courtside.spans.dropped")).toBe(1);
});
