import { create } from "@bufbuild/protobuf";
import {
  BarrierAligner,
  type InBand,
  type Source,
  type SourceRecord,
  type SourceStart,
  WatermarkValve,
} from "../operators/mod.ts";
import {
  type EdgeFrame,
  type EdgeState,
  EdgeStateSchema,
  type SourcePosition,
  SourcePositionSchema,
} from "../proto/gen/courtside/v1/checkpoint_pb.ts";
import { decodeEdgeFrame, type EdgeOptions } from "./nats-edge.ts";
import { NatsSource } from "./nats-source.ts";

/** Frames that one producer may be ahead of the others' barrier before nothing more is read: a producer waits for a
 * commit long before. */
const HELD_FRAMES_MAX = 10_000;

export interface NatsEdgeSourceOptions<I> extends EdgeOptions {
  /** Name of the task that reads, for the snapshot. */
  readonly task: string;
  readonly partition: number;
  /** All tasks that write, in any order. */
  readonly producers: readonly string[];
  readonly decode: (bytes: Uint8Array) => I;
}

interface Channel {
  /** Number of the frame that comes next. */
  next: number;
  /** Frames that came before their turn. */
  readonly early: Map<number, EdgeFrame>;
  /** Frames whose turn it is, when the barrier lets them. */
  readonly ready: EdgeFrame[];
  watermarkMs: number | undefined;
}

type Element<I> = SourceRecord<I> | InBand;

/**
 * Reads one partition of an edge. Frames are taken by producer and number: repeats are dropped, what came too early
 * waits. A producer whose barrier has come is held until all barriers have; the watermark is the least over the
 * producers that are not idle. Only frames of its own epoch are read: what an older one has sent behind the barrier
 * that this one started from is made again, and what a zombie still sends counts nowhere.
 */
export class NatsEdgeSource<I> implements Source<I> {
  readonly inBand = true;
  readonly #options: NatsEdgeSourceOptions<I>;
  #source: NatsSource<EdgeFrame> | undefined;
  readonly #channels: readonly Channel[];
  readonly #aligner: BarrierAligner;
  readonly #valve: WatermarkValve;
  #elements: Element<I>[] = [];
  /** Progress at the barriers that are among the elements. */
  readonly #atBarriers: EdgeState[][] = [];
  #epoch = 0n;
  #sequence = 0;

  constructor(options: NatsEdgeSourceOptions<I>) {
    this.#options = options;
    this.#channels = options.producers.map(() => ({
      next: 1,
      early: new Map(),
      ready: [],
      watermarkMs: undefined,
    }));
    this.#aligner = new BarrierAligner(options.producers.length, {
      onTriggered: (barrierId) => {
        this.#atBarriers.push(this.#progress());
        this.#elements.push({ barrierId });
      },
      // The region fails as a whole, so a barrier that one producer sent comes from all.
      onAborted: () => {},
    });
    this.#valve = new WatermarkValve(options.producers.length, {
      record: () => {},
      watermark: (watermarkMs, scope) => void this.#elements.push({ watermarkMs, scope }),
      status: (idle) => void this.#elements.push({ idle }),
    });
  }

  async open(_from: SourcePosition | undefined, { epoch, edges }: SourceStart): Promise<void> {
    this.#epoch = BigInt(epoch);
    const { task, partition, producers } = this.#options;
    for (const each of edges)
      if (each.task === task && each.partition === partition) {
        const channel = producers.indexOf(each.producer);
        // So that what was late before is late again.
        if (channel >= 0) this.#advance(channel, Number(each.watermarkMs));
      }
    this.#source = new NatsSource<EdgeFrame>({
      ...this.#options,
      subject: `${this.#options.subject}.${String(epoch)}.${String(partition)}.>`,
      decode: (message) => decodeEdgeFrame(message.data),
      keyGroupOf: () => partition,
      isPurged: true,
    });
    await this.#source.open(undefined);
  }

  async poll(maxRecords: number, waitMs: number): Promise<readonly Element<I>[]> {
    if (this.#elements.length === 0)
      for (const { value } of (await this.#source?.poll(maxRecords, waitMs)) ?? [])
        this.#take(value);
    const elements = this.#elements;
    this.#elements = [];
    return elements;
  }

  /** Nothing: a restore reads none of the old frames. */
  positionAt(): SourcePosition {
    return create(SourcePositionSchema, { stream: this.#options.stream });
  }

  edgeStates(): readonly EdgeState[] {
    return this.#atBarriers.shift() ?? [];
  }

  ended(): boolean {
    return false;
  }

  async close(): Promise<void> {
    await this.#source?.close();
  }

  #progress(): EdgeState[] {
    const { task, partition, producers, subject } = this.#options;
    return this.#channels.flatMap(({ next, ready, watermarkMs }, i) =>
      watermarkMs === undefined
        ? []
        : [
            create(EdgeStateSchema, {
              task,
              edge: subject,
              partition,
              producer: producers[i] ?? "",
              frameNumber: BigInt(next - 1 - ready.length),
              watermarkMs: BigInt(watermarkMs),
            }),
          ],
    );
  }

  #take(frame: EdgeFrame): void {
    if (frame.epoch !== this.#epoch) return;
    const channel = this.#channels[this.#options.producers.indexOf(frame.producer)];
    const number = Number(frame.number);
    if (channel === undefined || number < channel.next || channel.early.has(number)) return;
    channel.early.set(number, frame);
    if (channel.early.size + channel.ready.length > HELD_FRAMES_MAX)
      throw new RangeError(`${frame.producer} is ${String(HELD_FRAMES_MAX)} frames ahead`);
    for (let next = channel.early.get(channel.next); next; next = channel.early.get(channel.next)) {
      channel.early.delete(channel.next);
      channel.next += 1;
      channel.ready.push(next);
    }
    this.#pass();
  }

  /** Lets everything through that no barrier holds back. */
  #pass(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const [i, channel] of this.#channels.entries())
        while (!this.#aligner.isBlocked(i) && channel.ready.length > 0) {
          const frame = channel.ready.shift();
          if (frame !== undefined) this.#open(i, frame);
          moved = true;
        }
    }
  }

  #open(channel: number, { records, watermarkMs, idle, barrier }: EdgeFrame): void {
    for (const { keyGroup, eventTimeMs, value, traceparent } of records) {
      this.#sequence += 1;
      this.#elements.push({
        value: this.#options.decode(value),
        keyGroup,
        sequence: this.#sequence,
        traceparent,
        eventTimeMs: Number(eventTimeMs),
      });
    }
    if (watermarkMs !== undefined) this.#advance(channel, Number(watermarkMs));
    if (idle !== undefined) this.#valve.status(channel, idle);
    if (barrier !== 0n) this.#aligner.barrier(channel, Number(barrier));
  }

  #advance(channel: number, watermarkMs: number): void {
    const state = this.#channels[channel];
    if (state !== undefined) state.watermarkMs = watermarkMs;
    this.#valve.watermark(channel, watermarkMs, "");
  }
}
