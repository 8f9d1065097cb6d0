import {
  DiscardPolicy,
  jetstreamManager,
  JetStreamApiError,
  JetStreamError,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
} from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { CourtsideError, errorText } from "../base/errors.ts";
import {
  INSIGHTS_STREAM,
  INSIGHTS_SUBJECTS,
  PLAYS_STREAM,
  PLAYS_SUBJECTS,
} from "../proto/subjects.ts";

/** How long the broker remembers message ids. An optimisation only: publishers compare sequences as well. */
const DUPLICATE_WINDOW_MS = 120_000;

const GIB = 1024 ** 3;

/** Bytes of the plays' log: a season is about 0.15 GiB, 0.3 GiB when published play by play. */
export const PLAYS_MAX_BYTES = 2 * GIB;

/** Bytes of the insights' log: about four times the plays that they come from. */
export const INSIGHTS_MAX_BYTES = 4 * GIB;

/** Longest wait for one answer of the broker's stream API. */
const API_TIMEOUT_MS = 5_000;

/** `stream not found` in the broker's own numbering. */
const STREAM_NOT_FOUND = 10059;

/** The broker has no JetStream, or will not have a stream that the pipeline needs. */
export class StreamSetupError extends CourtsideError {
  override readonly code = "STREAM_SETUP";
  override readonly retryable = false;
}

/** A stream of that name exists and does not keep what the pipeline relies on. */
export class StreamMismatchError extends CourtsideError {
  override readonly code = "STREAM_MISMATCH";
  override readonly retryable = false;
  readonly stream: string;

  constructor(stream: string, differences: readonly string[]) {
    super(
      `stream ${stream} exists with other settings: ${differences.join("; ")}; ` +
        `change or delete it ("nats stream rm ${stream}"), or use another server`,
    );
    this.stream = stream;
  }
}

export interface EnsureStreamsOptions {
  /** Most bytes of the plays' log, default `PLAYS_MAX_BYTES`. */
  readonly playsMaxBytes?: number;
  /** Most bytes of the insights' log, default `INSIGHTS_MAX_BYTES`. */
  readonly insightsMaxBytes?: number;
  /** Copies in a cluster, default 1. */
  readonly replicas?: number;
}

/**
 * Creates the streams of the pipeline, or checks that those that exist fit. Full streams refuse new messages
 * instead of forgetting old ones: a log that drops silently cannot be replayed. Works from server 2.9 on.
 *
 * @throws StreamMismatchError when a stream exists with settings under which plays could be lost.
 * @throws StreamSetupError when the broker refuses, for example without JetStream or without room.
 */
export async function ensureStreams(
  nc: NatsConnection,
  options: EnsureStreamsOptions = {},
): Promise<void> {
  const manager = await openManager(nc);
  const replicas = options.replicas ?? 1;
  const wanted = [
    streamConfig(PLAYS_STREAM, PLAYS_SUBJECTS, options.playsMaxBytes ?? PLAYS_MAX_BYTES, replicas),
    streamConfig(
      INSIGHTS_STREAM,
      INSIGHTS_SUBJECTS,
      options.insightsMaxBytes ?? INSIGHTS_MAX_BYTES,
      replicas,
    ),
  ];
  for (const config of wanted) await ensureStream(manager, config);
}

/** True when the streams are there; creates nothing. @throws StreamSetupError when the broker does not answer. */
export async function hasStreams(nc: NatsConnection): Promise<boolean> {
  const manager = await openManager(nc);
  for (const name of [PLAYS_STREAM, INSIGHTS_STREAM])
    if ((await findStream(manager, name)) === undefined) return false;
  return true;
}

type WantedStream = Pick<StreamConfig, "name" | "subjects" | "max_bytes" | "num_replicas"> &
  Partial<StreamConfig>;

function streamConfig(
  name: string,
  subject: string,
  maxBytes: number,
  replicas: number,
): WantedStream {
  return {
    name,
    subjects: [subject],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: maxBytes,
    num_replicas: replicas,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  };
}

async function openManager(nc: NatsConnection): Promise<JetStreamManager> {
  const server = nc.getServer();
  try {
    return await jetstreamManager(nc, { timeout: API_TIMEOUT_MS });
  } catch (error) {
    throw new StreamSetupError(
      `the NATS server at ${server} has no JetStream (${errorText(error)}); start it with "-js"`,
      { cause: error },
    );
  }
}

async function ensureStream(manager: JetStreamManager, wanted: WantedStream): Promise<void> {
  const existing = await findStream(manager, wanted.name);
  if (existing === undefined) {
    await createStream(manager, wanted);
    return;
  }
  const differences = compare(existing, wanted);
  if (differences.length > 0) throw new StreamMismatchError(wanted.name, differences);
}

async function findStream(
  manager: JetStreamManager,
  name: string,
): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
    throw new StreamSetupError(`cannot look at stream ${name}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Two processes may start at once: creating the same stream twice is no error to the broker. */
async function createStream(manager: JetStreamManager, wanted: WantedStream): Promise<void> {
  try {
    await manager.streams.add(wanted);
  } catch (error) {
    const detail = error instanceof JetStreamError ? error.message : errorText(error);
    throw new StreamSetupError(
      `the broker does not create stream ${wanted.name} of ${String(wanted.max_bytes)} bytes: ${detail}; ` +
        "give JetStream more room or lower the limit",
      { cause: error },
    );
  }
}

/** Room and replicas may differ: an operator may have given more or less. */
function compare(existing: StreamConfig, wanted: WantedStream): string[] {
  const differences: string[] = [];
  const check = (what: string, is: string, must: string): void => {
    if (is !== must) differences.push(`${what} is ${is}, must be ${must}`);
  };
  const subject = wanted.subjects[0] ?? "";
  if (!existing.subjects.includes(subject)) {
    differences.push(`subjects are ${existing.subjects.join(", ")}, must have ${subject}`);
  }
  check("storage", existing.storage, StorageType.File);
  check("retention", existing.retention, RetentionPolicy.Limits);
  check("discard", existing.discard, DiscardPolicy.New);
  if (existing.max_age > 0) {
    differences.push(`max_age is ${String(existing.max_age)} ns, must be 0 (no expiry)`);
  }
  if (existing.max_msgs_per_subject > 0) {
    differences.push(
      `max_msgs_per_subject is ${String(existing.max_msgs_per_subject)}, must be unlimited`,
    );
  }
  return differences;
}
