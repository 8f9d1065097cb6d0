import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DiscardPolicy,
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { keyGroupOf, taskOfKeyGroup } from "../base/key-group.ts";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { EdgeSink, Origin } from "../operators/mod.ts";
import {
  type EdgeFrame,
  EdgeFrameSchema,
  type EdgeRecord,
  EdgeRecordSchema,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";
import { NatsSink } from "./nats-sink.ts";

/** Bytes of records in one frame: client CPU a record falls until about here, and it is far below the payload limit. */
const FRAME_BYTES = 32 * 1024;
/** Bytes that a producer may have in an edge that no checkpoint covers yet; then it asks for one, and waits. All
 * producers together stay below the stream's own limit, so that barriers always get through. */
const SOFT_LIMIT_BYTES = 4 * 1024 * 1024;
const HARD_LIMIT_BYTES = 256 * 1024 * 1024;
/** Overhead of a record in a frame, for the sum. */
const RECORD_BYTES = 24;
const NO_STREAM = 10_059;
/** A question that a killed server took with it holds up its checkpoint for so long. */
const API_TIMEOUT_MS = 2000;

/** One repartition stream between two stages of a job. */
export interface EdgeOptions {
  readonly connection: NatsConnection;
  /** Stream of the broker that holds it. */
  readonly stream: string;
  /** Begins every subject: `edge.<job>.<region>.<edge>`; epoch, partition and producer follow. */
  readonly subject: string;
  readonly traceparentHeader: string;
  readonly log: Log;
}

export interface NatsEdgeSinkOptions<T> extends EdgeOptions {
  readonly uid: string;
  /** Name of the task that writes; unique in the edge, good as a part of a subject. */
  readonly producer: string;
  /** Tasks that read: each has a contiguous range of key groups. */
  readonly partitions: number;
  readonly keyGroups: number;
  readonly keyOf: (value: T) => string;
  readonly encode: (value: T) => Uint8Array;
}

interface Partition {
  /** Holds the epoch: frames of different owners never lie under one subject. */
  subject: string;
  records: EdgeRecord[];
  sizeBytes: number;
  frames: number;
}

interface Sent {
  readonly partition: Partition;
  readonly frame: EdgeFrame;
}

/** What a producer knows of a checkpoint that is not committed yet. */
interface Barrier {
  /** The least sequence in the stream of its barrier frames. */
  firstSequence: number;
  /** Bytes that it covers, of those that none before it does. */
  readonly coveredBytes: number;
}

/** The stream of a job's edges; bounded, and never dropping what was not read. */
export async function ensureEdgeStream(
  connection: NatsConnection,
  stream: string,
  subjects: string,
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  try {
    await manager.streams.info(stream);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== NO_STREAM) throw error;
    await manager.streams.add({
      name: stream,
      subjects: [subjects],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      max_bytes: HARD_LIMIT_BYTES,
    });
  }
}

/**
 * Sends records to the tasks that hold their keys, in frames numbered by partition. Watermarks and barriers go to
 * every partition, behind what came before them. Frames of former epochs are removed at the start: everything
 * behind the last committed barrier is made again.
 */
export class NatsEdgeSink<T> implements EdgeSink<T> {
  readonly mode = "edge";
  readonly uid: string;
  readonly #options: NatsEdgeSinkOptions<T>;
  readonly #sink: NatsSink<Sent>;
  readonly #partitions: readonly Partition[];
  readonly #barriers = new Map<number, Barrier>();
  #manager: JetStreamManager | undefined;
  #epoch = 0;
  #uncoveredBytes = 0;
  #watermarkMs: number | undefined;
  #idle: boolean | undefined;

  constructor(options: NatsEdgeSinkOptions<T>) {
    this.uid = options.uid;
    this.#options = options;
    const { connection, traceparentHeader, log, subject, producer } = options;
    this.#partitions = Array.from({ length: options.partitions }, () => ({
      subject: "",
      records: [],
      sizeBytes: 0,
      frames: 0,
    }));
    this.#sink = new NatsSink<Sent>({
      uid: options.uid,
      connection,
      job: `${subject}.${producer}`,
      traceparentHeader,
      log,
      encode: ({ partition, frame }) => ({
        subject: partition.subject,
        data: toBinary(EdgeFrameSchema, frame),
      }),
      onStored: ({ frame }, sequence) => {
        const barrier = this.#barriers.get(Number(frame.barrier));
        if (barrier !== undefined)
          barrier.firstSequence = Math.min(barrier.firstSequence, sequence);
      },
    });
  }

  async open(epoch: number): Promise<void> {
    this.#epoch = epoch;
    const { connection, stream, subject, producer } = this.#options;
    this.#manager = await jetstreamManager(connection, {
      checkAPI: false,
      timeout: API_TIMEOUT_MS,
    });
    for (const [i, partition] of this.#partitions.entries())
      partition.subject = `${subject}.${String(epoch)}.${String(i)}.${producer}`;
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: `${subject}.>` });
    for (const old of Object.keys(state.subjects ?? {}))
      if (Number(old.slice(subject.length + 1).split(".")[0]) < epoch)
        await this.#manager.streams.purge(stream, { filter: old });
    await this.#sink.open(epoch);
  }

  write(value: T, eventTimeMs: number, { traceparent }: Origin): void {
    const { keyGroups, partitions, keyOf, encode } = this.#options;
    const keyGroup = keyGroupOf(keyOf(value), keyGroups);
    const partition = this.#partitions[taskOfKeyGroup(keyGroup, keyGroups, partitions)];
    if (partition === undefined)
      throw new RangeError(`no partition for key group ${String(keyGroup)}`);
    const bytes = encode(value);
    const fields = { keyGroup, eventTimeMs: BigInt(eventTimeMs), value: bytes, traceparent };
    partition.records.push(create(EdgeRecordSchema, fields));
    partition.sizeBytes += bytes.length + RECORD_BYTES;
    if (partition.sizeBytes >= FRAME_BYTES) this.#send(partition, {});
  }

  watermark(watermarkMs: number): void {
    this.#watermarkMs = watermarkMs;
  }

  status(idle: boolean): void {
    this.#idle = idle;
  }

  flush(): void {
    this.#sendAll(0);
  }

  async barrier(checkpointId: number): Promise<void> {
    const waiting = this.#partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const coveredBytes = this.#uncoveredBytes + waiting;
    this.#barriers.set(checkpointId, { firstSequence: Number.POSITIVE_INFINITY, coveredBytes });
    this.#sendAll(checkpointId);
    await this.#sink.flush();
  }

  blocked(): Promise<void> | undefined {
    return this.#sink.blocked();
  }

  full(): boolean {
    return this.#uncoveredBytes >= SOFT_LIMIT_BYTES;
  }

  /**
   * One purge over all partitions, up to the first of the barriers. The filter must not lie inside a reader's: a
   * server of the 2.9 line moves every consumer whose filter holds the purged subject to what is left under that
   * subject, or to the stream's end, past frames of other producers that it has not delivered.
   */
  async forget(checkpointId: number): Promise<void> {
    const { stream, subject, producer, log } = this.#options;
    const barrier = this.#barriers.get(checkpointId);
    if (barrier === undefined) return;
    const filter = `${subject}.${String(this.#epoch)}.*.${producer}`;
    try {
      await this.#manager?.streams.purge(stream, { filter, seq: barrier.firstSequence });
    } catch (error) {
      // It only costs space; the next checkpoint removes more.
      log.warn("edge_purge_failed", { subject, error: errorText(error) });
    }
    for (const id of this.#barriers.keys()) if (id <= checkpointId) this.#barriers.delete(id);
    this.#uncoveredBytes -= barrier.coveredBytes;
  }

  async close(): Promise<void> {
    await this.#sink.close();
  }

  #sendAll(barrier: number): void {
    const watermarkMs = this.#watermarkMs;
    const idle = this.#idle;
    this.#watermarkMs = undefined;
    this.#idle = undefined;
    for (const partition of this.#partitions) {
      const nothing = watermarkMs === undefined && idle === undefined && barrier === 0;
      if (partition.records.length === 0 && nothing) continue;
      this.#send(partition, {
        ...(watermarkMs === undefined ? {} : { watermarkMs: BigInt(watermarkMs) }),
        ...(idle === undefined ? {} : { idle }),
        barrier: BigInt(barrier),
      });
    }
  }

  #send(
    partition: Partition,
    rest: { watermarkMs?: bigint; idle?: boolean; barrier?: bigint },
  ): void {
    const { records } = partition;
    partition.frames += 1;
    this.#uncoveredBytes += partition.sizeBytes;
    const frame = create(EdgeFrameSchema, {
      epoch: BigInt(this.#epoch),
      producer: this.#options.producer,
      number: BigInt(partition.frames),
      records,
      ...rest,
    });
    partition.records = [];
    partition.sizeBytes = 0;
    const position = {
      keyGroup: this.#partitions.indexOf(partition),
      inputSequence: this.#epoch,
      index: partition.frames,
    };
    this.#sink.write({ partition, frame }, position, records.at(-1)?.traceparent ?? "");
  }
}

/** A frame as it lies in the stream. */
export function decodeEdgeFrame(data: Uint8Array): EdgeFrame {
  return fromBinary(EdgeFrameSchema, data);
}
