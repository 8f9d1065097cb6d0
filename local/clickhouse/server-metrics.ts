import type { Metrics } from "../../base/metrics.ts";
import type { User } from "./http-request.ts";
import type { Statement } from "./statement.ts";

type Outcome = "ok" | "error";

/** What the server tells Prometheus of its statements. */
export class ServerMetrics {
  readonly #duration;
  readonly #written;
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();
  #running = 0;

  constructor(metrics: Metrics) {
    this.#duration = metrics.histogram(
      "courtside.store.query.duration",
      "ms",
      "Time of a statement from its request to the end of its answer",
    );
    this.#written = metrics.counter("courtside.store.rows", "{row}", "Rows that were inserted");
    metrics.gauge(
      "courtside.store.running",
      "{query}",
      "Statements under way or waiting",
      () => this.#running,
    );
  }

  /** A statement begins. @returns what is to be called at its end. */
  begin(user: User, kind: Statement["kind"]): (outcome: Outcome, writtenRows: number) => void {
    const startMs = performance.now();
    this.#running += 1;
    return (outcome, writtenRows) => {
      this.#running -= 1;
      this.#written.add(writtenRows);
      this.#duration.record(performance.now() - startMs, this.#labelsOf(user, kind, outcome));
    };
  }

  #labelsOf(user: User, kind: string, outcome: Outcome): Readonly<Record<string, string>> {
    const key = `${user}/${kind}/${outcome}`;
    const known = this.#labels.get(key) ?? { user, kind, outcome };
    this.#labels.set(key, known);
    return known;
  }
}
