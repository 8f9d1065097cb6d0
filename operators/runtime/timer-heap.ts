import type { Space, TimerCell } from "../state/space.ts";

/** Children of a node: four make the heap half as deep as two, and lie side by side in memory. */
const ARITY = 4;
const INITIAL_CAPACITY = 16;
/** Below this many entries, dropping the stale ones is not worth a pass. */
const MIN_COMPACTION = 64;

/**
 * Timers in the order of time. Ties go by the hash of the key, then by key and namespace, never by the order
 * of registration, so that a restored heap fires as the old one would have. What is pending lies in the
 * timer cells; an entry whose ticket its cell does not know any more is stale and is passed over.
 */
export class TimerHeap<N> {
  #times = new Float64Array(INITIAL_CAPACITY);
  #hashes = new Uint32Array(INITIAL_CAPACITY);
  #tickets = new Float64Array(INITIAL_CAPACITY);
  #cells: TimerCell<N>[] = [];
  #pending = 0;
  #ticket = 0;
  readonly #text: (namespace: N) => string;

  /** @param text - spelling of a namespace, for ties inside one key. */
  constructor(text: (namespace: N) => string) {
    this.#text = text;
  }

  get size(): number {
    return this.#pending;
  }

  /** Registering a timer that is pending changes nothing. */
  register(cell: TimerCell<N>, timeMs: number): void {
    if (cell.ticketAt(timeMs) !== undefined) return;
    this.#ticket += 1;
    this.#pending += 1;
    cell.set(timeMs, this.#ticket);
    const end = this.#cells.length;
    if (end === this.#times.length) this.#grow();
    this.#cells.push(cell);
    this.#put(end, timeMs, cell.space.entry.hash, this.#ticket, cell);
    this.#up(end);
  }

  /** @returns false when it was not pending. */
  delete(cell: TimerCell<N>, timeMs: number): boolean {
    if (!cell.delete(timeMs)) return false;
    this.#pending -= 1;
    if (this.#cells.length > MIN_COMPACTION && this.#cells.length > 2 * this.#pending)
      this.#compact();
    return true;
  }

  /** Time of the earliest timer; undefined when there is none. */
  earliestMs(): number | undefined {
    for (let head = this.#cells[0]; head !== undefined; head = this.#cells[0]) {
      const timeMs = this.#times[0] ?? 0;
      if (head.ticketAt(timeMs) === this.#tickets[0]) return timeMs;
      this.#pop();
    }
    return undefined;
  }

  /** The cell of the earliest timer; only right behind `earliestMs`. */
  earliest(): TimerCell<N> | undefined {
    return this.#cells[0];
  }

  #put(at: number, timeMs: number, hash: number, ticket: number, cell: TimerCell<N>): void {
    this.#times[at] = timeMs;
    this.#hashes[at] = hash;
    this.#tickets[at] = ticket;
    this.#cells[at] = cell;
  }

  #move(from: number, to: number): void {
    const cell = this.#cells[from];
    if (cell === undefined) return;
    this.#put(to, this.#times[from] ?? 0, this.#hashes[from] ?? 0, this.#tickets[from] ?? 0, cell);
  }

  /** True when the entry at `a` fires before one of this time, hash and cell. */
  #before(a: number, timeMs: number, hash: number, cell: TimerCell<N>): boolean {
    const time = this.#times[a] ?? 0;
    if (time !== timeMs) return time < timeMs;
    const other = this.#hashes[a] ?? 0;
    if (other !== hash) return other < hash;
    const mine = this.#cells[a];
    return mine !== undefined && mine !== cell && this.#compare(mine.space, cell.space) < 0;
  }

  #compare(a: Space<N>, b: Space<N>): number {
    if (a.entry !== b.entry) return a.entry.key < b.entry.key ? -1 : 1;
    const x = a.namespace === undefined ? "" : this.#text(a.namespace);
    const y = b.namespace === undefined ? "" : this.#text(b.namespace);
    return x === y ? 0 : x < y ? -1 : 1;
  }

  #up(start: number): void {
    const cell = this.#cells[start];
    if (cell === undefined) return;
    const timeMs = this.#times[start] ?? 0;
    const hash = this.#hashes[start] ?? 0;
    const ticket = this.#tickets[start] ?? 0;
    let at = start;
    while (at > 0) {
      const parent = Math.floor((at - 1) / ARITY);
      if (this.#before(parent, timeMs, hash, cell)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, timeMs, hash, ticket, cell);
  }

  #pop(): void {
    const last = this.#cells.length - 1;
    this.#move(last, 0);
    this.#cells.length = last;
    if (last > 1) this.#down(0);
  }

  #down(start: number): void {
    const cell = this.#cells[start];
    if (cell === undefined) return;
    const timeMs = this.#times[start] ?? 0;
    const hash = this.#hashes[start] ?? 0;
    const ticket = this.#tickets[start] ?? 0;
    const { length } = this.#cells;
    let at = start;
    for (;;) {
      const first = at * ARITY + 1;
      if (first >= length) break;
      let least = first;
      for (let child = first + 1; child < Math.min(first + ARITY, length); child += 1) {
        const best = this.#cells[least];
        if (
          best !== undefined &&
          this.#before(child, this.#times[least] ?? 0, this.#hashes[least] ?? 0, best)
        )
          least = child;
      }
      if (!this.#before(least, timeMs, hash, cell)) break;
      this.#move(least, at);
      at = least;
    }
    this.#put(at, timeMs, hash, ticket, cell);
  }

  /** Drops stale entries, so that timers which are moved again and again do not fill the heap. */
  #compact(): void {
    let kept = 0;
    for (const [at, cell] of this.#cells.entries())
      if (cell.ticketAt(this.#times[at] ?? 0) === this.#tickets[at]) this.#move(at, kept++);
    this.#cells.length = kept;
    for (let at = Math.floor((kept - 2) / ARITY); at >= 0; at -= 1) this.#down(at);
  }

  #grow(): void {
    const grow = <A extends Float64Array | Uint32Array>(old: A, fresh: A): A => {
      fresh.set(old);
      return fresh;
    };
    const capacity = 2 * this.#times.length;
    this.#times = grow(this.#times, new Float64Array(capacity));
    this.#hashes = grow(this.#hashes, new Uint32Array(capacity));
    this.#tickets = grow(this.#tickets, new Float64Array(capacity));
  }
}
