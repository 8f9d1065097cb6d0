import { PanelBuilder as BarChart } from "@grafana/grafana-foundation-sdk/barchart";
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  type FieldColor,
  FieldColorModeId,
  PanelBuilder,
  QueryVariableBuilder,
  TextBoxVariableBuilder,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeries } from "@grafana/grafana-foundation-sdk/timeseries";
import { PanelBuilder as Trend } from "@grafana/grafana-foundation-sdk/trend";
import { PanelBuilder as XyChart } from "@grafana/grafana-foundation-sdk/xychart";
import { DATASOURCE, query } from "./query.ts";

/** Tags by which the boards find each other. */
const TAG = "courtside";
/** Where the page is, for links back; a text box on every board. */
const PAGE_DEFAULT = "http://localhost:8080";
/** Width of Grafana's grid. */
export const WHOLE = 24;
export const HALF = 12;
export const THIRD = 8;
export const QUARTER = 6;

interface PanelOptions {
  readonly title: string;
  /** What it shows and when to worry; the small i of the panel. */
  readonly description: string;
  readonly sql: string;
  readonly unit?: string;
  readonly span?: number;
  readonly height?: number;
  readonly min?: number;
  readonly max?: number;
  readonly decimals?: number;
}

interface Shaped {
  title(title: string): this;
  description(text: string): this;
  datasource(ref: typeof DATASOURCE): this;
  span(columns: number): this;
  height(rows: number): this;
  unit(unit: string): this;
  min(min: number): this;
  max(max: number): this;
  decimals(decimals: number): this;
}

function shaped<P extends Shaped>(panel: P, options: PanelOptions): P {
  const { title, description, unit, span = HALF, height = 8, min, max, decimals } = options;
  panel.title(title).description(description).datasource(DATASOURCE).span(span).height(height);
  if (unit !== undefined) panel.unit(unit);
  if (min !== undefined) panel.min(min);
  if (max !== undefined) panel.max(max);
  if (decimals !== undefined) panel.decimals(decimals);
  return panel;
}

/** Lines over time: first column the time. */
export function timeSeries(options: PanelOptions): TimeSeries {
  return shaped(new TimeSeries(), options)
    .withTarget(query("timeseries", options.sql))
    .lineWidth(2)
    .fillOpacity(8)
    .spanNulls(true);
}

/** One number, or a few: the first row counts. */
export function stat(options: PanelOptions): Stat {
  return shaped(new Stat(), { span: QUARTER, height: 4, ...options }).withTarget(
    query("table", options.sql),
  );
}

export function table(options: PanelOptions): Table {
  return shaped(new Table(), options).withTarget(query("table", options.sql));
}

/** Bars by name: first column the name. */
export function barChart(options: PanelOptions): BarChart {
  return shaped(new BarChart(), options).withTarget(query("table", options.sql));
}

/** Lines over a number that rises, for example game time. */
export function trend(options: PanelOptions & { readonly x: string }): Trend {
  return shaped(new Trend(), options).withTarget(query("table", options.sql)).xField(options.x);
}

/** Dots: two numbers. */
export function scatter(options: PanelOptions): XyChart {
  return shaped(new XyChart(), options).withTarget(query("table", options.sql));
}

/** The waterfall of one trace, for which the SDK has no builder. */
export function traceView(options: PanelOptions): PanelBuilder {
  return shaped(new PanelBuilder().type("traces"), options).withTarget(
    query("traces", options.sql),
  );
}

/** Opens `url` from a cell or a point; `${__data.fields.NAME}` is taken from its row. */
export function link(title: string, url: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url).targetBlank(true);
}

export function variable(name: string, label: string, sql: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ ...query("table", sql, `var-${name}`).build() })
    .refresh(VariableRefresh.OnTimeRangeChanged);
}

export function textBox(name: string, label: string, value: string): TextBoxVariableBuilder {
  return new TextBoxVariableBuilder(name).label(label).defaultValue(value);
}

/** @param sql - columns `time`, `text`, and where wanted `timeEnd` and `tags` */
export function annotation(name: string, colour: string, sql: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(colour)
    .target(query("table", sql, "Anno"));
}

interface BoardOptions {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** For example `now-3h`. */
  readonly from: string;
  readonly refresh: string;
  /** Path on the page that shows the same. */
  readonly page: string;
}

/** A board with what all of them have: links to the others and to the page, and where the page is. */
export function board(options: BoardOptions): DashboardBuilder {
  const { uid, title, description, from, refresh, page } = options;
  return new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone("browser")
    .time({ from, to: "now" })
    .refresh(refresh)
    .readonly()
    .withVariable(textBox("page", "Live page", PAGE_DEFAULT))
    .link(
      new DashboardLinkBuilder("Boards")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .link(link("Live page", `\${page}/${page}`));
}

/** One colour for all series of a panel. */
export function fixed(colour: string): { build(): FieldColor } {
  return { build: () => ({ mode: FieldColorModeId.Fixed, fixedColor: colour }) };
}
