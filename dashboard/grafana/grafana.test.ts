import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClickHouseClient } from "@clickhouse/client";
import {
  type Dashboard,
  type Panel,
  VariableType,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { type ClickHouseChild, startClickHouse } from "../../local/clickhouse/child.ts";
import { layoutOf } from "../../local/data-dir.ts";
import { courtside, NBA } from "../../tests/support/courtside.ts";
import { alertRules, ALERTS } from "./alerts.ts";
import { boards, OUTPUT, writeGrafana } from "./build.ts";
import { expand, type QueryContext, UnknownMacroError } from "./macros.ts";
import { complaints, type SdkType } from "./schema.ts";

/** A recorded evening where there is one, else a generated one: through the whole pipeline either way. */
const SEASON = join(NBA, "pbp/v3_2023-24_regular.csv.gz");
const SOURCE = existsSync(SEASON) ? SEASON : "synthetic";
const GAMES = 8;

interface Column {
  readonly name: string;
  readonly type: string;
}

interface Frame {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly unknown[])[];
}

let folder = "";
let server: ClickHouseChild;
let client: ClickHouseClient;
let context: QueryContext;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-grafana-"));
  const { code, stderr } = await courtside(
    "up",
    "--source",
    SOURCE,
    "--games",
    String(GAMES),
    "--speed",
    "max",
    "--until-done",
    "--trace-rate",
    "0.05",
    "--port-base",
    "0",
    "--no-open",
    "--data",
    folder,
    "--json",
  );
  expect(code, stderr).toBe(0);
  server = await startClickHouse(layoutOf(folder).clickhouse);
  client = await openClickHouse(server.url, { readOnly: true });
  await plantTrouble();
  // The query log is written a few seconds behind the queries.
  await client.query({ query: "SELECT count() FROM courtside.plays", format: "JSON" });
  const [range] = await rowsOf<{ from: number; to: number }>(
    `SELECT toUnixTimestamp64Milli(min(ingest_time)) AS from, toUnixTimestamp64Milli(now64(3)) AS to FROM courtside.predictions`,
  );
  context = {
    fromMs: (range?.from ?? 0) - 60_000,
    toMs: (range?.to ?? 0) + 120_000,
    intervalMs: 1_000,
    variables: { page: "http://localhost:8080", trace: "" },
  };
}, 240_000);

afterAll(async () => {
  await client?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A healthy run has no dead letters and no failures; the panels for them must be seen to work all the same. */
async function plantTrouble(): Promise<void> {
  const writer = await openClickHouse(server.url);
  await writer.command({
    query: `INSERT INTO courtside.dead_letters (reason, message, source, line, game_id) VALUES
      ('MALFORMED_ROW', 'planted', 'test.csv', 7, 'none')`,
  });
  await writer.command({
    query: `INSERT INTO courtside.otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, Duration, StatusCode, StatusMessage)
      VALUES (now64(9), 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'clickhouse.insert', 'insight', 5000000, 'Error', 'planted')`,
  });
  await writer.close();
}

async function rowsOf<Row>(query: string): Promise<Row[]> {
  const result = await client.query({
    query,
    format: "JSONEachRow",
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
  });
  return result.json<Row>();
}

async function run(
  rawSql: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Frame> {
  const sql = expand(rawSql, {
    ...context,
    variables: Object.assign({}, context.variables, variables),
  });
  const result = await client.query({
    query: sql,
    format: "JSONCompact",
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
  });
  const { meta = [], data } = await result.json<unknown[]>();
  return { columns: meta, rows: data };
}

const isTime = ({ type }: Column): boolean => /^(?:Nullable\()?DateTime/u.test(type);
const isNumber = ({ type }: Column): boolean =>
  /^(?:Nullable\()?(?:U?Int|Float|Decimal|Bool)/u.test(type);
const isText = ({ type }: Column): boolean =>
  /^(?:LowCardinality\()?(?:Nullable\()?(?:String|FixedString)/u.test(type);

/** What each type of panel needs of its columns; an answer that is not `true` says what is wrong. */
const CONTRACTS: Readonly<Record<string, (frame: Frame) => true | string>> = {
  timeseries: ({ columns: [first, ...rest], rows }) => {
    if (first === undefined || !isTime(first)) return "the first column must be a time";
    if (!rest.some(isNumber)) return "there must be a number";
    const times = rows.map(([time]) => String(time));
    return times.join() === times.toSorted().join() || "the times must rise";
  },
  table: ({ columns }) => columns.length > 0 || "there must be a column",
  stat: ({ columns, rows }) =>
    (rows.length === 1 && columns.every(isNumber)) || "one row of numbers",
  barchart: ({ columns: [first, ...rest] }) =>
    (first !== undefined && isText(first) && rest.length > 0 && rest.every(isNumber)) ||
    "a name and numbers",
  trend: ({ columns: [first, ...rest], rows }) => {
    if (first === undefined || !isNumber(first) || !rest.every(isNumber)) return "numbers only";
    const x = rows.map(([value]) => Number(value));
    return x.every((value, at) => at === 0 || value > (x[at - 1] ?? 0)) || "the first must rise";
  },
  xychart: ({ columns }) => (columns.length >= 2 && columns.every(isNumber)) || "two numbers",
  traces: ({ columns }) => {
    const names = new Set(columns.map(({ name }) => name));
    const wanted =
      "traceID spanID parentSpanID serviceName operationName startTime duration tags serviceTags";
    const missing = wanted.split(" ").filter((name) => !names.has(name));
    return missing.length === 0 || `missing ${missing.join(", ")}`;
  },
};

/** Bounds of what a column of that name can be; anything else is a query that counts the wrong thing. */
const BOUNDS: readonly (readonly [name: RegExp, low: number, high: number])[] = [
  [/prob$|^predicted$|^observed$|^share$|^accuracy$|^won_from$/u, 0, 1],
  [/^brier$|^model$|^baseline$/u, 0, 1],
  [/^log_loss$/u, 0, 5],
  [/^(?:away|home)(?:_score)?$/u, 0, 250],
  [/_ms$|^p50$|^p9[59]$|^duration/u, 0, 600_000],
  [/^(?:plays|rows|spans|games|count|parts|bytes|points|rebounds)$/u, 0, 1e9],
  [/^excitement$/u, 0.1, 40],
  [/^(?:shift|distance)$/u, -1e6, 1e6],
  [/^minutes$/u, 0, 80],
];

function checkPlausible(what: string, { columns, rows }: Frame): void {
  expect(rows.length, `${what}: rows`).toBeGreaterThan(0);
  columns.forEach((column, at) => {
    const bounds = BOUNDS.find(([name]) => name.test(column.name));
    if (bounds === undefined || !isNumber(column)) return;
    for (const row of rows) {
      const value = row[at];
      if (value === null) continue;
      expect(Number(value), `${what}: ${column.name}`).toBeGreaterThanOrEqual(bounds[1]);
      expect(Number(value), `${what}: ${column.name}`).toBeLessThanOrEqual(bounds[2]);
    }
  });
}

/** The trace view has no type of its own in the SDK. */
const PANEL_TYPES: ReadonlyMap<string, SdkType> = new Map([
  ["barchart", "BarchartType"],
  ["stat", "StatType"],
  ["table", "TableType"],
  ["timeseries", "TimeseriesType"],
  ["trend", "TrendType"],
  ["xychart", "XychartType"],
]);

interface Target {
  readonly rawSql: string;
}

const all = boards().map((board) => JSON.parse(JSON.stringify(board)) as Dashboard);
const panelsOf = (board: Dashboard): Panel[] => board.panels ?? [];
const sqlOf = (target: unknown): string => (target as Target).rawSql;

/** First value of every variable of a board, as Grafana takes it. */
async function variablesOf(board: Dashboard): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const { type, name, query } of board.templating?.list ?? [])
    if (type === VariableType.Query) values[name] = String((await run(sqlOf(query))).rows[0]?.[0]);
  return values;
}

async function checkPanel(
  panel: Panel,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const what = `${String(panel.title)} (${panel.type})`;
  expect(panel.targets?.length, what).toBeGreaterThan(0);
  for (const target of panel.targets ?? []) {
    const frame = await run(sqlOf(target), variables);
    const contract = CONTRACTS[panel.type];
    expect(contract, `${what}: no contract for this type`).toBeDefined();
    expect(contract?.(frame), what).toBe(true);
    checkPlausible(what, frame);
  }
}

describe.each(all.map((board) => [String(board.title), board] as const))("%s", (_title, board) => {
  test("fits the types of Grafana's SDK, every panel with its own options", () => {
    expect(complaints("DashboardType", board)).toEqual([]);
    for (const panel of panelsOf(board)) {
      const type = PANEL_TYPES.get(panel.type);
      if (type === undefined) continue;
      const { options = {}, fieldConfig } = panel;
      const custom: unknown = fieldConfig?.defaults.custom;
      const value = { options, ...(custom !== undefined && { custom }) };
      expect(complaints(type, value), panel.title).toEqual([]);
    }
  });

  test("every variable gives values, every panel and annotation rows that can be true", async () => {
    for (const { type, name, query } of board.templating?.list ?? []) {
      if (type !== VariableType.Query) continue;
      const frame = await run(sqlOf(query));
      expect(frame.columns.length, name).toBe(1);
      expect(frame.rows.length, name).toBeGreaterThan(0);
    }
    const variables = await variablesOf(board);
    for (const panel of panelsOf(board)) await checkPanel(panel, variables);
    for (const { name, target } of board.annotations?.list ?? []) {
      const frame = await run(sqlOf(target), variables);
      const types = new Map(frame.columns.map((column) => [column.name, column]));
      expect(types.get("time") !== undefined && isTime(types.get("time") as Column), name).toBe(
        true,
      );
      expect(types.get("text") !== undefined && isText(types.get("text") as Column), name).toBe(
        true,
      );
      // A game may do without a run; all else has happened in any slice.
      if (name !== "Runs") expect(frame.rows.length, name).toBeGreaterThan(0);
    }
  });

  test("leads to the page, and only to boards that exist", () => {
    const text = JSON.stringify(board);
    expect(text).toContain("${page}/#/");
    const uids = new Set(all.map(({ uid }) => uid));
    for (const [, uid] of text.matchAll(/\/d\/([\w-]+)/gu)) expect(uids).toContain(uid);
  });
});

test("every alert fits the SDK's types and compares one number", async () => {
  const group = JSON.parse(JSON.stringify(alertRules())) as unknown;
  expect(complaints("RuleGroupType", group)).toEqual([]);
  const uids = new Set(all.map(({ uid }) => uid));
  for (const { uid, sql, board } of ALERTS) {
    const { rows, columns } = await run(sql);
    expect([rows.length, columns.length], uid).toEqual([1, 1]);
    expect(columns.every(isNumber), uid).toBe(true);
    expect(Number.isFinite(Number(rows[0]?.[0])), uid).toBe(true);
    expect(uids, uid).toContain(board);
  }
});

test("the planted failure and dead letter reach their alerts", async () => {
  const value = async (uid: string): Promise<number> =>
    Number((await run(ALERTS.find((alert) => alert.uid === uid)?.sql ?? "")).rows[0]?.[0]);
  expect(await value("courtside-checkpoints")).toBe(1);
  expect(await value("courtside-dead-letters")).toBe(1);
  expect(await value("courtside-latency")).toBeGreaterThan(0);
});

test("the numbers on the boards are those of the tables", async () => {
  const find = (title: string): string => {
    const panel = all.flatMap(panelsOf).find((each) => each.title === title);
    return sqlOf(panel?.targets?.[0]);
  };
  const season = await variablesOf(all.find(({ uid }) => uid === "courtside-season") as Dashboard);
  expect((await run(find("Games"), season)).rows[0]?.[0]).toBe(GAMES);
  const [truth] = await rowsOf<{ plays: number; brier: number }>(
    `SELECT count() AS plays, avg(pow(home_win_prob - won, 2)) AS brier FROM courtside.predictions_current
     INNER JOIN (SELECT game_id, home_score > away_score AS won FROM courtside.game_results_current) AS r USING game_id`,
  );
  expect(Number((await run(find("Brier score"), season)).rows[0]?.[0])).toBeCloseTo(
    truth?.brier ?? -1,
    10,
  );
  expect((await run(find("Plays stored"))).rows[0]?.[0]).toBe(truth?.plays);
  expect((await run(find("Plays without a prediction"))).rows[0]?.[0]).toBe(0);
});

test("a wrong macro, variable, column, table, option or field does not get through", async () => {
  const good = sqlOf(panelsOf(all[0] as Dashboard)[4]?.targets?.[0]);
  const variables = await variablesOf(all[0] as Dashboard);
  expect((await run(good, variables)).rows.length).toBeGreaterThan(0);
  const broken = (from: string, to: string): Promise<Frame> =>
    run(good.replace(from, to), variables);
  await expect(broken("$__timeFilter_ms", "$__timeFiltr")).rejects.toThrow(UnknownMacroError);
  await expect(broken("${game}", "${match}")).rejects.toThrow(UnknownMacroError);
  await expect(broken("home_win_prob", "home_win_prb")).rejects.toThrow(/home_win_prb/u);
  await expect(broken("predictions_current", "prediction_current")).rejects.toThrow(
    /prediction_current/u,
  );
  const time = await run(
    good.replace("ingest_time AS time,", "toString(ingest_time) AS time,"),
    variables,
  );
  expect(CONTRACTS["timeseries"]?.(time)).toBe("the first column must be a time");
  expect(() =>
    checkPlausible("p", { columns: [{ name: "home_win_prob", type: "Float64" }], rows: [[1.2]] }),
  ).toThrow(/home_win_prob/u);
  const board = structuredClone(all[0] as Dashboard) as unknown as Record<string, unknown> & {
    panels: { targets: object[]; unit?: string }[];
  };
  Object.assign(board.panels[0]?.targets[0] as object, { formatt: 1 });
  expect(complaints("DashboardType", board).join("\n")).toContain("formatt");
  expect(complaints("StatType", { options: { graphMode: "squiggle" } }).length).toBeGreaterThan(0);
});

test("the files that Grafana is given are as the sources make them", async () => {
  expect(await writeGrafana(OUTPUT, true)).toEqual([]);
});
