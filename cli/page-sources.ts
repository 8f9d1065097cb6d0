import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClickHouseClient } from "@clickhouse/client";
import { create } from "@bufbuild/protobuf";
import { CourtsideError } from "../base/errors.ts";
import { type PageSources } from "../dashboard/api.ts";
import { MAX_CONSOLE_ROWS, type StoreReader } from "../dashboard/store.ts";
import { type Contribution } from "../dashboard/wire.ts";
import { type JobStand, type ModelEntry, type SqlAnswer } from "../dashboard/wire-views.ts";
import { openClickHouse } from "../data/clickhouse/client.ts";
import { FEATURES } from "../features/mod.ts";
import { checkReadOnly, READER_SETTINGS, sqlErrorFrom } from "../local/clickhouse/read-only-sql.ts";
import { INSIGHT_JOB } from "../jobs/insight/insights.ts";
import { askOf } from "./ask.ts";
import { type PlayInsight } from "../proto/gen/courtside/v1/insight_pb.ts";
import { PredictRequestSchema } from "../proto/gen/courtside/v1/predict_service_pb.ts";
import { type PredictClient } from "../serving/client.ts";
import { withJobControl } from "./job-control.ts";
import { jobStatus } from "./job-status.ts";
import { readAliases } from "../serving/model/aliases.ts";
import { parseCard } from "../serving/model/card.ts";
import { CARD_FILE } from "../serving/model/registry.ts";

/** A page that waits longer is given up by whoever looks at it; the season view of a whole season takes two seconds. */
const VIEW_LIMITS = { ...READER_SETTINGS, max_execution_time: 15 };
/** A metrics endpoint on the same machine answers within milliseconds. */
const METRICS_TIMEOUT_MS = 1_000;

export interface PageSourceOptions {
  readonly clickhouseUrl: string | undefined;
  readonly modelsFolder: string;
  readonly metricsUrl: string | undefined;
  readonly grafanaUrl: string | undefined;
  /** Broker of the insight job. */
  readonly natsUrl: string;
  readonly predict: PredictClient | undefined;
  readonly signal: AbortSignal;
}

/** What the page's views read from, and what ends that. */
export async function openPageSources(
  options: PageSourceOptions,
): Promise<{ sources: PageSources; close(): Promise<void> }> {
  const { clickhouseUrl, modelsFolder, metricsUrl, grafanaUrl, natsUrl, predict, signal } = options;
  const client =
    clickhouseUrl === undefined
      ? undefined
      : await openClickHouse(clickhouseUrl, { readOnly: true, settings: VIEW_LIMITS, signal });
  return {
    sources: {
      store: client === undefined ? undefined : storeReader(client),
      features: FEATURES,
      models: async () => modelEntries(modelsFolder),
      metrics: metricsUrl === undefined ? undefined : async () => metricsText(metricsUrl),
      job: async () => insightJob(natsUrl),
      predict: predict !== undefined,
      explain: predict === undefined ? undefined : async (insight) => explain(predict, insight),
      grafanaUrl,
    },
    close: async () => client?.close(),
  };
}

function storeReader(client: ClickHouseClient): StoreReader {
  return {
    async rows<Row>(query: string, params?: Readonly<Record<string, unknown>>): Promise<Row[]> {
      const result = await client.query({
        query,
        format: "JSONEachRow",
        ...(params !== undefined && { query_params: params }),
        // Counts and sequences stay far below 2^53.
        clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
      });
      return result.json<Row>();
    },
    ask: async (statement) => answerTo(client, statement),
  };
}

async function answerTo(client: ClickHouseClient, statement: string): Promise<SqlAnswer> {
  const startMs = performance.now();
  try {
    const { sql } = await checkReadOnly(askOf(client), statement);
    const result = await client.query({
      query: sql,
      format: "JSONCompact",
      clickhouse_settings: {
        output_format_json_quote_64bit_integers: 1,
        max_result_rows: String(MAX_CONSOLE_ROWS + 1),
        result_overflow_mode: "break",
      },
    });
    const { meta = [], data } = await result.json<unknown[]>();
    return {
      columns: meta,
      rows: data.slice(0, MAX_CONSOLE_ROWS),
      cut: data.length > MAX_CONSOLE_ROWS,
      elapsedMs: performance.now() - startMs,
    };
  } catch (error) {
    throw sqlErrorFrom(error);
  }
}

/** Cards of a registry's folder with the aliases that name them. A folder that is no model is left out. */
async function modelEntries(folder: string): Promise<ModelEntry[]> {
  const aliases = await readAliases(folder);
  const entries: ModelEntry[] = [];
  for (const version of (await readdir(folder)).toSorted()) {
    const file = join(folder, version, CARD_FILE);
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const card = parseCard(text, file);
    entries.push({
      version: card.version,
      name: card.name,
      aliases: [...aliases].filter(([, named]) => named === version).map(([alias]) => alias),
      card: { ...card },
    });
  }
  return entries.toSorted((a, b) => b.aliases.length - a.aliases.length);
}

/** Time for the scoring server to explain one state; it takes milliseconds. */
const EXPLAIN_DEADLINE_MS = 1_500;

/**
 * Why the model that predicted said so: its contributions to the log odds since tip-off, as their shares of the way that the
 * probability went. Null when that version is gone or explains nothing.
 */
async function explain(
  client: PredictClient,
  { state, prediction }: PlayInsight,
): Promise<readonly Contribution[] | null> {
  if (state === undefined || prediction === undefined) return null;
  const request = create(PredictRequestSchema, {
    input: { case: "state", value: state },
    explain: true,
    modelVersion: prediction.modelVersion,
  });
  try {
    const { explanation } = await client.predict(request, { deadlineMs: EXPLAIN_DEADLINE_MS });
    if (explanation === undefined) return null;
    const { contributions, logOdds, pregameLogOdds, pregameWinProb } = explanation;
    const way = logOdds - pregameLogOdds;
    const points = Math.abs(way) < 1e-9 ? 0.25 : (prediction.homeWinProb - pregameWinProb) / way;
    return contributions.map((each) => ({
      feature: each.feature,
      contribution: each.logOdds * points,
    }));
  } catch (error) {
    if (error instanceof CourtsideError) return null;
    throw error;
  }
}

async function insightJob(natsUrl: string): Promise<JobStand> {
  return withJobControl({ values: { "nats-url": natsUrl } }, async (control) =>
    jobStatus(control, INSIGHT_JOB),
  );
}

async function metricsText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS) });
  return response.text();
}
