import { setTimeout as delay } from "node:timers/promises";
import type { Engine, EngineSession } from "./engine.ts";
import { BASE_SETTINGS } from "./engine.ts";
import { CLICKHOUSE_CODE, refusal } from "./query-error.ts";
import { type Counts, NO_COUNTS } from "./summary.ts";

/** Statements that run at once; the engine itself uses every core for each, so more only adds memory. */
export const POOL_SESSIONS = 4;
/** Statements that may wait for a session; clients see an error beyond it instead of growing memory. */
const MAX_WAITING = 1_000;
/** How long `KILL … SYNC` waits; a statement looks every block whether it was told to stop. */
const CANCEL_WAIT_MS = 10_000;
const CANCEL_POLL_MS = 20;
/** Sessions that clients may keep by `session_id`. */
const MAX_NAMED_SESSIONS = 64;

/** What a request wants the session to be while its statement runs. */
export interface SessionState {
  /** Undefined: `default` on a shared session, what it was on a named one. */
  readonly database: string | undefined;
  readonly settings: ReadonlyMap<string, string>;
  /** Values of `{name:Type}` placeholders, in ClickHouse's escaped text form. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The statement itself changes the session, so that it must not serve anybody else afterwards. */
  readonly discard: boolean;
}

/** A statement that runs. */
export interface RunningStatement {
  /** The engine's own id of it, which `KILL QUERY` and `system.processes` know. */
  readonly engineQueryId: string;
  readonly counts: Counts;
}

/** A session of a client's own, by `session_id`. */
export interface NamedSession {
  readonly id: string;
  readonly timeoutS: number;
}

interface Slot {
  readonly session: EngineSession;
  database: string;
  /** False until the pool's role is set. */
  isReady: boolean;
}

interface Named extends Slot {
  busy: boolean;
  expiry: NodeJS.Timeout | undefined;
}

/** Lends sessions so that nobody sees what another request set. */
export class SessionPool {
  readonly #engine: Engine;
  readonly #idle: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  readonly #named = new Map<string, Named>();
  readonly #role: string | undefined;
  #killer: EngineSession | undefined;
  #asideTail: Promise<unknown> = Promise.resolve();

  /** @param role - of every session; undefined leaves them all rights. */
  constructor(engine: Engine, sessions: number = POOL_SESSIONS, role?: string) {
    this.#engine = engine;
    this.#role = role;
    for (let index = 0; index < sessions; index += 1) this.#idle.push(this.#open());
  }

  /**
   * Runs `work` on a session that is in `state`, alone on it.
   * @throws QueryError when a setting is refused, too many wait, or the named session is in use.
   */
  async run<T>(
    state: SessionState,
    named: NamedSession | undefined,
    work: (session: EngineSession) => Promise<T>,
  ): Promise<T> {
    if (named !== undefined) return this.#runNamed(state, named, work);
    const slot = await this.#acquire();
    try {
      if (!slot.isReady && this.#role !== undefined)
        await slot.session.query(`SET ROLE ${quoteName(this.#role)}`);
      slot.isReady = true;
      await enter(slot, { ...state, database: state.database ?? "default" });
      return await work(slot.session);
    } finally {
      const reusable = !state.discard && !slot.session.failed && (await leave(slot, state));
      this.#release(reusable ? slot : this.#replace(slot));
    }
  }

  /** Stops the statements whose text contains `tag`; what they would have answered is an error. */
  async kill(tag: string): Promise<void> {
    await this.#aside(
      `KILL QUERY WHERE query LIKE ${quote(`%${tag}%`)} AND query NOT ILIKE 'KILL%' ASYNC`,
    );
  }

  /** Resolves when no statement that was told to stop is left, or after ten seconds. */
  async untilCancelledAreGone(): Promise<void> {
    const deadlineMs = performance.now() + CANCEL_WAIT_MS;
    while (performance.now() < deadlineMs) {
      const left = await this.#aside("SELECT count() FROM system.processes WHERE is_cancelled");
      if (left.trim() === "0") return;
      await delay(CANCEL_POLL_MS);
    }
  }

  /** What the engine says of the running statement whose text contains `tag`; undefined when there is none. */
  async running(tag: string): Promise<RunningStatement | undefined> {
    const text = await this.#aside(
      "SELECT query_id, read_rows, read_bytes, total_rows_approx, written_rows, written_bytes, " +
        "toUInt64(elapsed * 1e9) FROM system.processes " +
        `WHERE query LIKE ${quote(`%${tag}%`)} AND query NOT LIKE '%system.processes%' LIMIT 1`,
    );
    if (text === "") return undefined;
    const [engineQueryId = "", ...numbers] = text.trimEnd().split("\t");
    const [
      readRows = 0,
      readBytes = 0,
      totalRowsToRead = 0,
      writtenRows = 0,
      writtenBytes = 0,
      ns,
    ] = numbers.map(Number);
    const counts = { readRows, readBytes, totalRowsToRead, writtenRows, writtenBytes };
    return { engineQueryId, counts: { ...NO_COUNTS, ...counts, elapsedNs: ns ?? 0 } };
  }

  /** On a session of its own, so that it does not wait for those that it asks about, and one after the other. */
  #aside(sql: string): Promise<string> {
    const session = (this.#killer ??= this.#engine.openSession());
    const answer = this.#asideTail.then(async () => {
      const { bytes } = await session.query(sql);
      return Buffer.from(bytes).toString("utf8");
    });
    this.#asideTail = answer.catch(() => undefined);
    return answer;
  }

  async #runNamed<T>(
    state: SessionState,
    { id, timeoutS }: NamedSession,
    work: (session: EngineSession) => Promise<T>,
  ): Promise<T> {
    const session = this.#namedSession(id);
    session.busy = true;
    clearTimeout(session.expiry);
    try {
      await enter(session, state);
      return await work(session.session);
    } finally {
      const forget = (): void => {
        this.#named.delete(id);
        session.session.close();
      };
      if ((await recover(session.session)) && (await leave(session, state))) {
        session.expiry = setTimeout(forget, timeoutS * 1000).unref();
      } else forget();
      session.busy = false;
    }
  }

  #namedSession(id: string): Named {
    const known = this.#named.get(id);
    if (known?.busy === true) {
      throw refusal(
        CLICKHOUSE_CODE.sessionIsLocked,
        "SESSION_IS_LOCKED",
        `Session ${id} is locked by a concurrent client`,
      );
    }
    if (known !== undefined) return known;
    if (this.#named.size >= MAX_NAMED_SESSIONS) {
      throw refusal(
        CLICKHOUSE_CODE.tooManySimultaneousQueries,
        "TOO_MANY_SIMULTANEOUS_QUERIES",
        `${MAX_NAMED_SESSIONS} sessions are kept already; let one time out or do without session_id`,
      );
    }
    const created: Named = { ...this.#open(), busy: false, expiry: undefined };
    this.#named.set(id, created);
    return created;
  }

  #acquire(): Promise<Slot> {
    const slot = this.#idle.pop();
    if (slot !== undefined) return Promise.resolve(slot);
    if (this.#waiting.length >= MAX_WAITING) {
      throw refusal(
        CLICKHOUSE_CODE.tooManySimultaneousQueries,
        "TOO_MANY_SIMULTANEOUS_QUERIES",
        `${MAX_WAITING} statements are waiting already`,
      );
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(slot);
    else next(slot);
  }

  #replace(slot: Slot): Slot {
    slot.session.close();
    return this.#open();
  }

  #open(): Slot {
    return { session: this.#engine.openSession(), database: "default", isReady: false };
  }
}

async function enter(slot: Slot, state: SessionState): Promise<void> {
  if (state.database !== undefined && slot.database !== state.database) {
    await slot.session.query(`USE ${quoteName(state.database)}`);
    slot.database = state.database;
  }
  const assignments = [
    ...[...state.parameters].map(([name, value]) => `param_${name} = ${quote(value)}`),
    ...inOrder(state.settings).map(([name, value]) => `${name} = ${quote(value)}`),
  ];
  if (assignments.length > 0) await slot.session.query(`SET ${assignments.join(", ")}`);
}

/** Takes what a failed statement left in front of the next result. @returns false when that fails too. */
async function recover(session: EngineSession): Promise<boolean> {
  if (!session.failed) return true;
  try {
    await session.query("SELECT 1", "Null");
    return true;
  } catch {
    return false;
  }
}

/** @returns false when the session could not be brought back: `readonly` refuses even that. */
async function leave(slot: Slot, state: SessionState): Promise<boolean> {
  if (state.settings.size === 0) return true;
  if (state.settings.has("readonly")) return false;
  const resets = [...state.settings.keys()].map((name) => {
    const base = BASE_SETTINGS[name];
    return `${name} = ${base === undefined ? "DEFAULT" : quote(base)}`;
  });
  try {
    await slot.session.query(`SET ${resets.join(", ")}`);
    return true;
  } catch {
    return false;
  }
}

/** `readonly` last: behind it no other setting can be set. */
function inOrder(settings: ReadonlyMap<string, string>): [string, string][] {
  return [...settings].sort(([a], [b]) => Number(a === "readonly") - Number(b === "readonly"));
}

/** A string literal. */
export function quote(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** A quoted identifier. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
}
