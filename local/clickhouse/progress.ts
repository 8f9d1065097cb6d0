import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { type Counts, summaryText } from "./summary.ts";

/** ClickHouse's own default of `http_headers_progress_interval_ms`. */
const DEFAULT_INTERVAL_MS = 100;
const MIN_INTERVAL_MS = 10;

/** Tells a client how far its statement is, by headers that are sent while it runs. */
export class ProgressHeaders {
  readonly #response: ServerResponse;
  readonly #head: Readonly<Record<string, string>>;
  #begun = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** What was told last. */
  last: Counts | undefined;

  /** @param head - headers that every answer has. */
  constructor(response: ServerResponse, head: Readonly<Record<string, string>>) {
    this.#response = response;
    this.#head = head;
  }

  /** True when the answer's head is under way, so that it has to be ended by `end`. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Asks `read` every now and then until `stop`. */
  watch(search: URLSearchParams, read: () => Promise<Counts | undefined>): void {
    if (search.get("send_progress_in_http_headers") !== "1") return;
    const asked = Number(search.get("http_headers_progress_interval_ms") ?? DEFAULT_INTERVAL_MS);
    const intervalMs = Math.max(
      MIN_INTERVAL_MS,
      Number.isFinite(asked) ? asked : DEFAULT_INTERVAL_MS,
    );
    const next = (): void => {
      this.#timer = setTimeout(() => void look(), intervalMs);
    };
    const look = async (): Promise<void> => {
      const counts = await read().catch(() => undefined);
      if (this.#stopped) return;
      if (counts !== undefined) this.#tell(counts);
      next();
    };
    next();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * Ends a head that was begun. The body goes to the stream that it returns and ends with the connection: its
   * length was not known when the head began.
   */
  end(headers: Readonly<Record<string, string>>): Writable {
    const { socket } = this.#response;
    const lines = Object.entries(headers).filter(([name]) => !(name in this.#head));
    const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket?.write(`${text}Connection: close\r\n\r\n`);
    return socket ?? this.#response;
  }

  #tell(counts: Counts): void {
    const { socket } = this.#response;
    if (socket === null || socket.destroyed) return;
    this.last = counts;
    if (!this.#begun) {
      this.#begun = true;
      const head = Object.entries(this.#head).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 200 OK\r\n${head.join("")}`);
    }
    socket.write(`X-ClickHouse-Progress: ${summaryText(counts)}\r\n`);
  }
}
