import { create } from "@bufbuild/protobuf";
import { insightRows } from "../../jobs/insight/rows.ts";
import { PredictionSchema } from "../../proto/gen/courtside/v1/insight_pb.ts";
import type { InsightRecord } from "../../proto/gen/courtside/v1/job_pb.ts";

type Row = Readonly<Record<string, unknown>>;

/** Of each table: what identifies a row, what tells a newer one, and columns of processing time. */
const TABLES: Readonly<
  Record<string, { readonly key: readonly string[]; readonly version: string }>
> = {
  "courtside.games": { key: ["game_id"], version: "revision" },
  "courtside.plays": { key: ["game_id", "play_number"], version: "revision" },
  "courtside.features": { key: ["game_id", "play_number"], version: "edition" },
  "courtside.predictions": { key: ["game_id", "play_number"], version: "edition" },
  "courtside.player_stats": { key: ["game_id", "player_id", "play_number"], version: "edition" },
  "courtside.team_windows": { key: ["game_id", "side", "size_s", "start_s"], version: "revision" },
  "courtside.scoring_runs": { key: ["game_id", "play_number"], version: "edition" },
  "courtside.game_results": { key: ["game_id"], version: "edition" },
};

/** Columns of processing time, and those that count corrections: what converges is all the others. */
const PASSING = /^(?:ingest_time|predicted_at|trace_id|edition|revision|\w+_ms)$/;

/**
 * The `*_current` views of the store, in memory: the row with the highest version by key, unless it is
 * retracted. Rows arrive in the order in which the job writes them.
 */
export class CurrentTables {
  /** Rows written, history included. */
  written = 0;
  readonly #rows = new Map<string, Row>();

  /** Writes the rows of a record, with the answer of a model that depends on every feature. */
  take(record: InsightRecord): void {
    const { body } = record;
    if (body.case === "play" && body.value.features !== undefined) {
      const { values } = body.value.features;
      const sum = values.reduce((total, value, i) => total + value * (i + 1), 0);
      const homeWinProb = 1 / (1 + Math.exp(-sum / 1000));
      body.value.prediction = create(PredictionSchema, { homeWinProb });
      if (body.value.result !== undefined) body.value.result.homeWinProb = homeWinProb;
    }
    insightRows(record, (table, row) => this.#put(table, row));
  }

  #put(table: string, row: Row): void {
    const spec = TABLES[table];
    if (spec === undefined) throw new Error(`no table ${table}`);
    this.written += 1;
    const id = `${table} ${spec.key.map((column) => String(row[column])).join(" ")}`;
    const before = this.#rows.get(id);
    if (before !== undefined && Number(row[spec.version]) <= Number(before[spec.version]))
      throw new Error(`${id}: ${spec.version} ${String(row[spec.version])} does not grow`);
    this.#rows.set(id, row);
  }

  /** What holds now, one line a row, sorted. */
  lines(): string[] {
    const lines: string[] = [];
    for (const [id, row] of this.#rows) {
      if (row["retracted"] === true) continue;
      const columns = Object.entries(row).filter(
        ([name]) => !PASSING.test(name) && name !== "retracted",
      );
      lines.push(`${id} ${JSON.stringify(columns)}`);
    }
    return lines.sort();
  }
}
