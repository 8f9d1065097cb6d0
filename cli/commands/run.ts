import type { NatsConnection } from "@nats-io/nats-core";
import { systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { createLog, type Log } from "../../base/log.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { type FaultPoint, faultFromEnvironment } from "../../base/fault.ts";
import { Bucket } from "../../connectors/bucket.ts";
import { DEFAULT_LEASE_MS, WorkerGroup } from "../../connectors/worker-group.ts";
import { ensureJobRecord, untilGoing } from "../../jobs/worker/job-record.ts";
import { type RegionSeat, Worker } from "../../jobs/worker/worker.ts";
import type { Region } from "../../operators/mod.ts";
import { WORKERS_BUCKET } from "../../proto/subjects.ts";
import { JOB_KINDS, type Parts } from "../job-kinds.ts";
import { JOB_STORE_OPTIONS, openJobStores } from "../job-stores.ts";
import { openNats } from "../../jobs/nats.ts";
import { ensureStreams } from "../../jobs/streams.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

/** Least and most time between checkpoints: below, the disk does nothing else; above, a crash repeats minutes. */
const CHECKPOINT_MS = { min: 50, max: 600_000 };
/** Lease of a worker: below, a slow broker takes regions from the living; above, a crash is noticed too late. */
const LEASE_MS = { min: 500, max: 600_000 };
const REGIONS = { min: 1, max: 128 };
const TRIES = { min: 1, max: 100 };
const PORTS = { min: 0, max: 65_535 };

export const command: Command = {
  name: "run",
  summary: "Run jobs until they are stopped: insight, scorecard, leaders",
  help: `courtside run insight
courtside run insight scorecard leaders
courtside run insight --nats-url nats://127.0.0.1:4222 --clickhouse-url http://127.0.0.1:8123 --data .courtside/game-night

Start it as often as you like, here or on other machines with the same broker and the same store of checkpoints: the
workers share the games, and take over those of one that ends. A job goes on from its last checkpoint: stop it, kill
it, start it again.

insight keeps the state of every game, asks the model after each play, and writes insights to JetStream and rows to
ClickHouse. scorecard compares predictions with results as games end, measures drift of the model's inputs, and
recomputes a share of the games to see that both paths give the same vectors. leaders keeps the league-wide board of
each hour. Prints one JSON line when all of them work: {"ready":true,"service":"insight","port":9464}

  --nats-url URL            broker (default nats://127.0.0.1:4222)
  --clickhouse-url URL      store (default http://127.0.0.1:8123)
  --serving-url HOST:PORT   model server (default 127.0.0.1:50051)
  --data DIR                checkpoints go to DIR/checkpoints (default .courtside/insight)
  --checkpoints URL         other place for checkpoints: a directory, nats: (this broker), s3://BUCKET/PREFIX
  --checkpoint-interval-ms  time between checkpoints (default 1000)
  --regions N               parts that can be shared, at the job's first start (default 4)
  --lease-ms N              time after which a silent worker is taken for dead (default ${String(DEFAULT_LEASE_MS)})
  --record-tries N          failures of one message until it becomes a dead letter (default 3)
  --models FOLDER           scorecard: models whose card has the reference of drift (default: those that ship)
  --parity-share R          scorecard: share of the games that are recomputed, 0 to 1 (default 0.1)
  --prometheus-port N       also serve /metrics, /healthz and /readyz on this port, 0 for a free one
  --host ADDRESS            address of that port (default 127.0.0.1)`,
  options: {
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "clickhouse-url": { type: "string", default: "http://127.0.0.1:8123" },
    "serving-url": { type: "string", default: "127.0.0.1:50051" },
    ...JOB_STORE_OPTIONS,
    regions: { type: "string" },
    "lease-ms": { type: "string", default: String(DEFAULT_LEASE_MS) },
    "record-tries": { type: "string", default: "3" },
    "checkpoint-interval-ms": { type: "string", default: "1000" },
    models: { type: "string" },
    "parity-share": { type: "string", default: "0.1" },
    "prometheus-port": { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { values, signal } = context;
  const names = jobNames(context.positionals);
  const [service = ""] = names;
  const log = createLog(service);
  const clickHouse = await openClickHouse(String(values["clickhouse-url"]), { signal });
  await migrate(clickHouse);
  const metrics = await createMetrics({
    service,
    host: textFlag(values, "host"),
    prometheusPort: integerFlag(values, "prometheus-port", PORTS),
  });
  const tracing = await createTracing({ service, clickhouse: clickHouse, log, metrics });
  const nats = await openNats(String(values["nats-url"]), { name: `courtside-${service}` });
  await ensureStreams(nats);
  const parts: Parts = {
    nats,
    clickHouse,
    checkpointIntervalMs: integerFlag(values, "checkpoint-interval-ms", CHECKPOINT_MS) ?? 0,
    clock: systemClock,
    tracing,
    metrics,
    log,
  };
  const jobs = await Promise.all(
    names.map(async (name) => JOB_KINDS[name]?.make(parts, values, signal)),
  );
  try {
    let waiting = names.length;
    const onReady = (): void => {
      waiting -= 1;
      if (waiting > 0) return;
      metrics.reportHealth({ notReady: () => (signal.aborted ? "stopping" : undefined) });
      context.stdout(`${JSON.stringify({ ready: true, service, port: metrics.port ?? 0 })}\n`);
    };
    await allOrNone(signal, names, async (name, i, until) => {
      const makeRegion = jobs[i]?.makeRegion;
      const settings = readWorkerSettings(context, name);
      if (makeRegion !== undefined)
        await workOn({ ...settings, nats, log, makeRegion, onReady: once(onReady) }, until);
    });
    return 0;
  } finally {
    for (const job of jobs) await job?.close();
    await nats.close();
    await tracing.shutdown();
    await metrics.shutdown();
    await clickHouse.close();
  }
}

/** @throws UsageError that names the jobs there are. */
function jobNames(positionals: readonly string[]): readonly string[] {
  const known = Object.keys(JOB_KINDS);
  const names = [...new Set(positionals)];
  if (names.length === 0 || names.some((name) => !known.includes(name)))
    throw new UsageError(
      `courtside run takes the names of jobs, and there are: ${known.join(", ")}`,
    );
  return names;
}

/** What a worker of one job needs besides the job itself. */
interface WorkerSettings {
  readonly job: string;
  readonly leaseMs: number;
  readonly regions: number | undefined;
  readonly triesMax: number;
  readonly fault: FaultPoint;
  readonly values: CommandContext["values"];
}

function readWorkerSettings({ values }: CommandContext, job: string): WorkerSettings {
  return {
    job,
    values,
    leaseMs: integerFlag(values, "lease-ms", LEASE_MS) ?? 0,
    regions:
      JOB_KINDS[job]?.hasFixedRegions === true
        ? undefined
        : integerFlag(values, "regions", REGIONS),
    triesMax: integerFlag(values, "record-tries", TRIES) ?? 1,
    fault: faultFromEnvironment(),
  };
}

/** Works on one job until the signal, over stops and restores of it. */
async function workOn(
  {
    job,
    leaseMs,
    regions,
    values,
    nats,
    ...rest
  }: WorkerSettings & {
    readonly nats: NatsConnection;
    readonly log: Log;
    readonly makeRegion: (seat: RegionSeat) => Region;
    readonly onReady: () => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const stores = await openJobStores(nats, values, rest.fault);
  const workers = await Bucket.open(nats, WORKERS_BUCKET, { ttlMs: leaseMs });
  const defaultRegions = JOB_KINDS[job]?.regions ?? 1;
  let record = await ensureJobRecord(stores.jobs, job, regions, defaultRegions);
  for (;;) {
    if (record.stopped) rest.onReady();
    record = await untilGoing(stores.jobs, record, rest.log, signal);
    if (signal.aborted) return;
    const group = new WorkerGroup(workers, job, leaseMs, systemClock.nowMs());
    const worker = new Worker({ ...rest, ...stores, record, group });
    if ((await worker.run(signal)) === "told") return;
    record = await ensureJobRecord(stores.jobs, job, undefined, defaultRegions);
  }
}

/** Runs all of them until the signal; when one fails, the others are stopped in order. */
async function allOrNone(
  signal: AbortSignal,
  names: readonly string[],
  work: (name: string, index: number, until: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal]);
  const ends = await Promise.allSettled(
    names.map(async (name, i) =>
      work(name, i, until).catch((error: unknown) => {
        failed.abort();
        throw error;
      }),
    ),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function once(tell: () => void): () => void {
  let told = false;
  return () => {
    if (!told) tell();
    told = true;
  };
}
