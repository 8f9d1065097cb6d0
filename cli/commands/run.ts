import { systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { createLog } from "../../base/log.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { faultFromEnvironment } from "../../base/fault.ts";
import { Bucket } from "../../connectors/bucket.ts";
import { DEFAULT_LEASE_MS, WorkerGroup } from "../../connectors/worker-group.ts";
import { INSIGHT_JOB } from "../../jobs/insight/insights.ts";
import { SCORECARD_JOB } from "../../jobs/scorecard/graph.ts";
import { ensureJobRecord, untilGoing } from "../../jobs/worker/job-record.ts";
import { Worker } from "../../jobs/worker/worker.ts";
import { WORKERS_BUCKET } from "../../proto/subjects.ts";
import { makeJob } from "../job-kinds.ts";
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
  summary: "run a job until it is stopped: insight, scorecard",
  help: `courtside run insight
courtside run scorecard
courtside run insight --nats-url nats://127.0.0.1:4222 --clickhouse-url http://127.0.0.1:8123 --data .courtside/game-night

Start it as often as you like, here or on other machines with the same broker and the same store of checkpoints: the
workers share the games, and take over those of one that ends. Reads plays from JetStream, keeps the state of every game, asks the model after each play, and writes insights to
JetStream and rows to ClickHouse. The scorecard compares predictions with results as games end, measures drift of the
model's inputs, and recomputes a share of the games to see that both paths give the same vectors. A job goes on from its last checkpoint: stop it, kill it, start it again. Prints one JSON
line when it works: {"ready":true,"service":"insight","port":9464}

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
  const [job, ...rest] = context.positionals;
  if ((job !== INSIGHT_JOB && job !== SCORECARD_JOB) || rest.length > 0)
    throw new UsageError(
      "courtside run takes the name of one job, and there are: insight, scorecard",
    );
  const { values, signal } = context;
  const log = createLog(job);
  const checkpointIntervalMs = integerFlag(values, "checkpoint-interval-ms", CHECKPOINT_MS) ?? 0;
  const leaseMs = integerFlag(values, "lease-ms", LEASE_MS) ?? 0;
  const regions = integerFlag(values, "regions", REGIONS);
  const triesMax = integerFlag(values, "record-tries", TRIES) ?? 1;
  const fault = faultFromEnvironment();
  const clickHouse = await openClickHouse(String(values["clickhouse-url"]), { signal });
  await migrate(clickHouse);
  const metrics = await createMetrics({
    service: job,
    host: textFlag(values, "host"),
    prometheusPort: integerFlag(values, "prometheus-port", PORTS),
  });
  const tracing = await createTracing({ service: job, clickhouse: clickHouse, log, metrics });
  const nats = await openNats(String(values["nats-url"]), { name: `courtside-${job}` });
  await ensureStreams(nats);
  const parts = {
    nats,
    clickHouse,
    checkpointIntervalMs,
    clock: systemClock,
    tracing,
    metrics,
    log,
  };
  const made = await makeJob(job, parts, values, signal);
  try {
    const { blobs, jobs } = await openJobStores(nats, values, fault);
    const workers = await Bucket.open(nats, WORKERS_BUCKET, { ttlMs: leaseMs });
    const onReady = once(() => {
      metrics.reportHealth({ notReady: () => (signal.aborted ? "stopping" : undefined) });
      context.stdout(`${JSON.stringify({ ready: true, service: job, port: metrics.port ?? 0 })}\n`);
    });
    let record = await ensureJobRecord(jobs, job, regions, made.regions);
    for (;;) {
      if (record.stopped) onReady();
      record = await untilGoing(jobs, record, log, signal);
      if (signal.aborted) return 0;
      const group = new WorkerGroup(workers, job, leaseMs, systemClock.nowMs());
      const options = {
        record,
        jobs,
        blobs,
        log,
        triesMax,
        group,
        fault,
        makeRegion: made.makeRegion,
        onReady,
      };
      if ((await new Worker(options).run(signal)) === "told") return 0;
      record = await ensureJobRecord(jobs, job, undefined, made.regions);
    }
  } finally {
    await made.close();
    await nats.close();
    await tracing.shutdown();
    await metrics.shutdown();
    await clickHouse.close();
  }
}

function once(tell: () => void): () => void {
  let told = false;
  return () => {
    if (!told) tell();
    told = true;
  };
}
