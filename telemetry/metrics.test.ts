import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createMetrics, MetricsPortInUseError } from "./metrics.ts";

async function scrape(port: number | undefined): Promise<string> {
  return (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
}

test("counters, histograms and gauges are served in Prometheus' format with unit and labels", async () => {
  const metrics = await createMetrics({ service: "insight", prometheusPort: 0 });
  let lag = 7;
  metrics.counter("courtside.plays", "{play}", "Plays read").add(3, { league: "nba" });
  metrics.gauge("courtside.lag", "ms", "How far behind", () => lag);
  const latency = metrics.histogram("courtside.latency", "ms", "Publish to prediction");
  latency.record(0.4);
  latency.record(29_000);
  latency.record(31_000);
  lag = 9;
  const text = await scrape(metrics.port);
  expect(text).toContain("# HELP courtside_plays_total Plays read");
  expect(text).toMatch(/^courtside_plays_total\{league="nba"\} 3$/m);
  expect(text).toMatch(/^courtside_lag(?:_milliseconds)? 9$/m);
  expect(text).toMatch(/^courtside_latency(?:_milliseconds)?_bucket\{le="0.5"\} 1$/m);
  expect(text).toMatch(/^courtside_latency(?:_milliseconds)?_bucket\{le="30000"\} 2$/m);
  expect(text).toMatch(/^courtside_latency(?:_milliseconds)?_count 3$/m);
  await metrics.shutdown();
  await expect(scrape(metrics.port)).rejects.toThrow();
});

test("probes answer by what the process reports: not ready while it starts, not ready when it is not live", async () => {
  const metrics = await createMetrics({ service: "insight", prometheusPort: 0 });
  const probe = async (path: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${String(metrics.port)}${path}`);
    return `${String(answer.status)} ${(await answer.text()).trim()}`;
  };
  expect([await probe("/healthz"), await probe("/readyz")]).toEqual([
    "200 ok",
    "503 still starting",
  ]);
  let stuck = false;
  metrics.reportHealth({ notLive: () => (stuck ? "stuck for 60 s" : undefined) });
  expect([await probe("/healthz"), await probe("/readyz")]).toEqual(["200 ok", "200 ok"]);
  stuck = true;
  expect(await probe("/healthz")).toBe("503 stuck for 60 s");
  expect(await probe("/readyz")).toBe("503 stuck for 60 s");
  await metrics.shutdown();
});

test("a busy port is refused with its number and the flag", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo;
  const refused = createMetrics({ service: "insight", prometheusPort: port });
  await expect(refused).rejects.toThrow(MetricsPortInUseError);
  await expect(refused).rejects.toThrow(new RegExp(`port ${port} .*--prometheus-port`));
  other.close();
});

test("without a port nothing is served or counted", async () => {
  const metrics = await createMetrics({ service: "insight", prometheusPort: undefined });
  expect(metrics.port).toBeUndefined();
  metrics.counter("courtside.plays", "{play}", "Plays read").add(1);
  await metrics.shutdown();
});
