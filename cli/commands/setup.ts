import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/nats-core";
import { UsageError } from "../../base/errors.ts";
import { withoutCredentials } from "../../base/nats-url.ts";
import { Bucket } from "../../connectors/bucket.ts";
import { JetStreamBlobs } from "../../connectors/jetstream-blobs.ts";
import { ensureEdgeStream } from "../../connectors/nats-edge.ts";
import { DEFAULT_LEASE_MS } from "../../connectors/worker-group.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { isMigrated, migrate } from "../../data/clickhouse/migrate.ts";
import { openNats } from "../../jobs/nats.ts";
import { ensureStreams, hasStreams } from "../../jobs/streams.ts";
import {
  EDGES_STREAM,
  EDGES_SUBJECTS,
  JOBS_BUCKET,
  SNAPSHOTS_BUCKET,
  WORKERS_BUCKET,
} from "../../proto/subjects.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

/** JetStream knows one, three or five copies; even numbers only cost. */
const REPLICAS = { min: 1, max: 5 };
/** Servers of a cluster that is just being created take their time to answer. */
const START_WAIT_MS = 120_000;
/** Between two looks for what somebody else creates: it takes them seconds. */
const POLL_MS = 500;

export const command: Command = {
  name: "setup",
  summary: "Create the streams and the tables, or check that they fit",
  help: `courtside setup
courtside setup --nats-url nats://admin:secret@nats:4222 --clickhouse-url http://admin:secret@clickhouse:8123
courtside setup --stream-replicas 3
courtside setup --wait

Creates what the parts need in the broker and in the store, and brings the tables to the newest schema. Can be run
again at any time: what is there and fits stays as it is. The parts do the same when they start, where they may; in a
cluster they may not, and this runs first.

  --nats-url URL        broker (default nats://127.0.0.1:4222)
  --clickhouse-url URL  store (default http://127.0.0.1:8123)
  --stream-replicas N   copies of each stream in a cluster of brokers: 1, 3 or 5 (default 1)
  --wait                create nothing, only wait until somebody else has`,
  options: {
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "clickhouse-url": { type: "string", default: "http://127.0.0.1:8123" },
    "stream-replicas": { type: "string", default: "1" },
    wait: { type: "boolean" },
  },
  run,
};

async function run({ values, signal, positionals, ...context }: CommandContext): Promise<number> {
  if (positionals.length > 0) throw new UsageError("courtside setup takes flags only");
  const replicas = integerFlag(values, "stream-replicas", REPLICAS) ?? 1;
  if (replicas % 2 === 0) throw new UsageError("--stream-replicas must be 1, 3 or 5");
  const natsUrl = String(values["nats-url"]);
  const waiting = { signal, waitMs: START_WAIT_MS };
  const nats = await openNats(natsUrl, { name: "courtside-setup", ...waiting });
  const onlyWait = values["wait"] === true;
  try {
    if (onlyWait) await until(async () => hasStreams(nats), signal);
    else await create(nats, replicas);
  } finally {
    await nats.close();
  }
  const options = { ...waiting, readOnly: onlyWait };
  const clickHouse = await openClickHouse(String(values["clickhouse-url"]), options);
  try {
    if (onlyWait) await until(async () => isMigrated(clickHouse), signal);
    const migrations = onlyWait ? [] : await migrate(clickHouse);
    context.stdout(
      `${JSON.stringify({ ok: true, nats: withoutCredentials(natsUrl), migrations })}\n`,
    );
  } finally {
    await clickHouse.close();
  }
  return 0;
}

async function create(nats: NatsConnection, replicas: number): Promise<void> {
  await ensureStreams(nats, { replicas });
  await Bucket.open(nats, JOBS_BUCKET, { replicas });
  await Bucket.open(nats, WORKERS_BUCKET, { replicas, ttlMs: DEFAULT_LEASE_MS });
  await JetStreamBlobs.open(nats, SNAPSHOTS_BUCKET, { replicas });
  await ensureEdgeStream(nats, EDGES_STREAM, EDGES_SUBJECTS);
}

/** Asks until the answer is yes. @throws AbortError when it is stopped before. */
async function until(isThere: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await isThere())) await delay(POLL_MS, undefined, { signal });
}
