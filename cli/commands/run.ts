import { mkdir } from "node:fs/promises";
import { systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { createLog } from "../../base/log.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { runInsight } from "../../jobs/insight/run.ts";
import { openNats } from "../../jobs/nats.ts";
import { ensureStreams } from "../../jobs/streams.ts";
import { layoutOf } from "../../local/data-dir.ts";
import { acquireLock } from "../../local/lock.ts";
import { connectPredict } from "../../serving/client.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

/** Least and most time between checkpoints: below, the disk does nothing else; above, a crash repeats minutes. */
const CHECKPOINT_MS = { min: 50, max: 600_000 };
const PORTS = { min: 0, max: 65_535 };
/** The model server may be starting at the same time; it needs a second or two. */
const PREDICT_START_WAIT_MS = 30_000;

export const command: Command = {
  name: "run",
  summary: "run a job until it is stopped: insight",
  help: `courtside run insight
courtside run insight --nats-url nats://127.0.0.1:4222 --clickhouse-url http://127.0.0.1:8123 --data .courtside/game-night

Reads plays from JetStream, keeps the state of every game, asks the model after each play, and writes insights to
JetStream and rows to ClickHouse. Goes on from its last checkpoint: stop it, kill it, start it again. Prints one JSON
line when it works: {"ready":true,"service":"insight","port":9464}

  --nats-url URL            broker (default nats://127.0.0.1:4222)
  --clickhouse-url URL      store (default http://127.0.0.1:8123)
  --serving-url HOST:PORT   model server (default 127.0.0.1:50051)
  --data DIR                checkpoints go to DIR/checkpoints (default .courtside/insight)
  --checkpoint-interval-ms  time between checkpoints (default 1000)
  --prometheus-port N       also serve /metrics, /healthz and /readyz on this port, 0 for a free one
  --host ADDRESS            address of that port (default 127.0.0.1)`,
  options: {
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "clickhouse-url": { type: "string", default: "http://127.0.0.1:8123" },
    "serving-url": { type: "string", default: "127.0.0.1:50051" },
    data: { type: "string", default: ".courtside/insight" },
    "checkpoint-interval-ms": { type: "string", default: "1000" },
    "prometheus-port": { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const [job, ...rest] = context.positionals;
  if (job !== "insight" || rest.length > 0)
    throw new UsageError(`courtside run takes the name of one job, and there is: insight`);
  const { values, signal } = context;
  const log = createLog(job);
  const checkpointIntervalMs = integerFlag(values, "checkpoint-interval-ms", CHECKPOINT_MS) ?? 0;
  const { checkpoints } = layoutOf(String(values["data"]));
  await mkdir(checkpoints, { recursive: true });
  const lock = await acquireLock(
    `${checkpoints}/insight.lock`,
    "the checkpoints of the insight job",
  );
  const clickHouse = await openClickHouse(String(values["clickhouse-url"]), { signal });
  await migrate(clickHouse);
  const metrics = await createMetrics({
    service: job,
    prometheusPort: integerFlag(values, "prometheus-port", PORTS),
    host: textFlag(values, "host"),
  });
  const tracing = await createTracing({ service: job, clickhouse: clickHouse, log, metrics });
  const nats = await openNats(String(values["nats-url"]), { name: "courtside-insight" });
  await ensureStreams(nats);
  const predictor = connectPredict(String(values["serving-url"]), { tracing });
  try {
    await predictor.waitReady(PREDICT_START_WAIT_MS);
    await runInsight(
      {
        nats,
        clickHouse,
        predictor,
        checkpointDirectory: checkpoints,
        checkpointIntervalMs,
        clock: systemClock,
        tracing,
        metrics,
        log,
        onStarted: () => {
          metrics.reportHealth({ notReady: () => (signal.aborted ? "stopping" : undefined) });
          context.stdout(
            `${JSON.stringify({ ready: true, service: job, port: metrics.port ?? 0 })}\n`,
          );
        },
      },
      signal,
    );
    return 0;
  } finally {
    predictor.close();
    await nats.close();
    await tracing.shutdown();
    await metrics.shutdown();
    await clickHouse.close();
    await lock.release();
  }
}
