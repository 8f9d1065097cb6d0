import { fnv1a } from "../../base/random.ts";

/** Pending timers of one kind in one namespace of one key. Most have none or one, which lies inline. */
export class TimerCell<N> {
  readonly space: Space<N>;
  #timeMs = Number.NaN;
  #ticket = 0;
  #more: Map<number, number> | undefined;

  constructor(space: Space<N>) {
    this.space = space;
  }

  get size(): number {
    return (Number.isNaN(this.#timeMs) ? 0 : 1) + (this.#more?.size ?? 0);
  }

  /** The timer, for who has one at the most; not a number when there is none. */
  get onlyMs(): number {
    return this.#timeMs;
  }

  /** Ticket of the heap entry that stands for this timer; undefined when it is not pending. */
  ticketAt(timeMs: number): number | undefined {
    return timeMs === this.#timeMs ? this.#ticket : this.#more?.get(timeMs);
  }

  set(timeMs: number, ticket: number): void {
    if (Number.isNaN(this.#timeMs) || this.#timeMs === timeMs) {
      this.#timeMs = timeMs;
      this.#ticket = ticket;
    } else (this.#more ??= new Map<number, number>()).set(timeMs, ticket);
  }

  /** @returns false when there is no such timer. */
  delete(timeMs: number): boolean {
    if (timeMs !== this.#timeMs) return this.#more?.delete(timeMs) ?? false;
    this.#timeMs = Number.NaN;
    return true;
  }

  times(): number[] {
    const more = [...(this.#more?.keys() ?? [])];
    return Number.isNaN(this.#timeMs) ? more : [this.#timeMs, ...more];
  }
}

/** State and timers of one key, or of one namespace inside it, for example a window. */
export class Space<N> {
  readonly entry: KeyEntry<N>;
  /** Undefined for the key itself. */
  readonly namespace: N | undefined;
  /** By index of the state; undefined where there is none. */
  readonly cells: unknown[] = [];
  event: TimerCell<N> | undefined;
  processing: TimerCell<N> | undefined;

  constructor(entry: KeyEntry<N>, namespace: N | undefined) {
    this.entry = entry;
    this.namespace = namespace;
  }

  isEmpty(): boolean {
    return (
      (this.event?.size ?? 0) === 0 &&
      (this.processing?.size ?? 0) === 0 &&
      this.cells.every((cell) => cell === undefined)
    );
  }
}

/** All that an operator knows of one key; found once a record. */
export class KeyEntry<N> {
  readonly key: string;
  readonly keyGroup: number;
  /** Orders keys at equal times, the same on every machine and after every restore. */
  readonly hash: number;
  readonly root: Space<N>;
  children: Space<N>[] = [];
  /** Watermark of the key's own scope; undefined while it follows the task's. */
  watermarkMs: number | undefined;
  /** With a clock of its own: no timer of the key is before this. */
  earliestMs = Number.POSITIVE_INFINITY;

  constructor(key: string, keyGroup: number) {
    this.key = key;
    this.keyGroup = keyGroup;
    this.hash = fnv1a(key);
    this.root = new Space(this, undefined);
  }

  *spaces(): Iterable<Space<N>> {
    yield this.root;
    yield* this.children;
  }
}
