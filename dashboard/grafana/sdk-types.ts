/** The types of Grafana's SDK that the shipped files must fit, under names of their own; read by schema.ts. */
import type { RuleGroup } from "@grafana/grafana-foundation-sdk/alerting";
import type * as barchart from "@grafana/grafana-foundation-sdk/barchart";
import type { GraphFieldConfig, TableFieldOptions } from "@grafana/grafana-foundation-sdk/common";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import type * as stat from "@grafana/grafana-foundation-sdk/stat";
import type * as table from "@grafana/grafana-foundation-sdk/table";
import type * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
import type * as trend from "@grafana/grafana-foundation-sdk/trend";
import type * as xychart from "@grafana/grafana-foundation-sdk/xychart";

export type DashboardType = Dashboard;
export type RuleGroupType = RuleGroup;

export interface BarchartType {
  readonly options: barchart.Options;
  readonly custom?: barchart.FieldConfig;
}

export interface StatType {
  readonly options: stat.Options;
}

export interface TableType {
  readonly options: table.Options;
  readonly custom?: TableFieldOptions;
}

export interface TimeseriesType {
  readonly options: timeseries.Options;
  readonly custom?: GraphFieldConfig;
}

export interface TrendType {
  readonly options: trend.Options;
  readonly custom?: GraphFieldConfig;
}

export interface XychartType {
  readonly options: xychart.Options;
  readonly custom?: xychart.FieldConfig;
}
