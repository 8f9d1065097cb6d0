/** A timer is identified by key, namespace and time: registering it twice is one timer. */
export interface KeyedTimer {
  readonly key: string;
  readonly keyGroup: number;
  /** Inside the key, for example a window; empty for the key itself. */
  readonly namespace: string;
  readonly timeMs: number;
}

/**
 * Timers in the order of their time, without doubles. Ties go by key and namespace, not by registration, so
 * that a restored queue fires as the old one would have.
 */
export class TimerQueue {
  readonly #heap: { readonly timer: KeyedTimer; readonly order: number }[] = [];
  /** Identities that are pending; a heap entry without one was deleted. */
  readonly #pending = new Map<string, number>();
  #order = 0;

  get size(): number {
    return this.#pending.size;
  }

  register(timer: KeyedTimer): void {
    const id = identity(timer);
    if (this.#pending.has(id)) return;
    this.#order += 1;
    this.#pending.set(id, this.#order);
    this.#heap.push({ timer, order: this.#order });
    this.#up(this.#heap.length - 1);
  }

  delete(timer: KeyedTimer): void {
    this.#pending.delete(identity(timer));
  }

  /** Takes the earliest timer with `timeMs <= untilMs`; undefined when there is none. */
  poll(untilMs: number): KeyedTimer | undefined {
    for (let head = this.#heap[0]; head !== undefined; head = this.#heap[0]) {
      const id = identity(head.timer);
      if (this.#pending.get(id) !== head.order) this.#pop();
      else if (head.timer.timeMs > untilMs) return undefined;
      else {
        this.#pop();
        this.#pending.delete(id);
        return head.timer;
      }
    }
    return undefined;
  }

  /** Pending timers in no particular order. */
  *values(): Iterable<KeyedTimer> {
    for (const { timer, order } of this.#heap)
      if (this.#pending.get(identity(timer)) === order) yield timer;
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return false;
    return compare(x.timer, y.timer) < 0;
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a];
    const y = this.#heap[b];
    if (x === undefined || y === undefined) return;
    this.#heap[a] = y;
    this.#heap[b] = x;
  }

  #up(index: number): void {
    for (let i = index; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let i = 0; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (this.#before(child, least)) least = child;
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }
}

function identity(timer: KeyedTimer): string {
  return `${String(timer.timeMs)}\u0000${timer.key}\u0000${timer.namespace}`;
}

function compare(a: KeyedTimer, b: KeyedTimer): number {
  return a.timeMs - b.timeMs || compareText(a.key, b.key) || compareText(a.namespace, b.namespace);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
