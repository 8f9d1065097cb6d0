import {
  QueryBuilder,
  type Rule,
  RuleBuilder,
  RuleGroupBuilder,
  type RuleGroup,
} from "@grafana/grafana-foundation-sdk/alerting";
import { type Builder, type Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import { DATASOURCE, query } from "./query.ts";
import { DRIFT } from "./sql.ts";

export const FOLDER = "Courtside";
/** How often the rules are looked at, seconds. */
const INTERVAL_S = 60;
const EXPRESSION_UID = "__expr__";

interface AlertOptions {
  readonly uid: string;
  readonly title: string;
  /** What has happened, for whoever is woken. */
  readonly summary: string;
  /** What to look at first. */
  readonly todo: string;
  readonly severity: "page" | "ticket";
  /** One row with one number; `$__fromTime_ms` is `windowS` ago. */
  readonly sql: string;
  readonly above: number;
  readonly windowS: number;
  /** How long it must hold, for example `5m`. */
  readonly holds: string;
  readonly board: string;
}

/** Alert rules as Grafana provisions them; each compares one number with a limit. */
export const ALERTS: readonly AlertOptions[] = [
  {
    uid: "courtside-latency",
    title: "Predictions are slow",
    summary: "The 99th percentile from publish to prediction is above 250 ms.",
    todo: "Look at the time by stage on the traces board: serving, broker or the job itself.",
    severity: "page",
    sql: "SELECT quantile(0.99)(publish_to_prediction_ms) AS p99_ms FROM courtside.play_latency WHERE $__timeFilter_ms(ingest_time)",
    above: 250,
    windowS: 300,
    holds: "5m",
    board: "courtside-traces",
  },
  {
    uid: "courtside-silence",
    title: "No plays while games are on",
    summary: "A game that has begun and not ended has had no play for more than 20 minutes.",
    todo: "Look at the feed and the broker: is anything published on plays.*?",
    severity: "page",
    sql: `SELECT count() AS silent_games FROM (
  SELECT game_id, max(ingest_time) AS last FROM courtside.predictions
  WHERE $__timeFilter_ms(ingest_time) AND game_id NOT IN (SELECT game_id FROM courtside.game_results)
  GROUP BY game_id HAVING last < $__toTime_ms - INTERVAL 20 MINUTE
)`,
    above: 0,
    windowS: 10_800,
    holds: "1m",
    board: "courtside-pipeline",
  },
  {
    uid: "courtside-dead-letters",
    title: "Inputs cannot be used",
    summary: "More than 10 dead letters within 15 minutes.",
    todo: "Read their reasons on the pipeline board; one reason is a feed that has changed.",
    severity: "ticket",
    sql: "SELECT count() AS dead_letters FROM courtside.dead_letters WHERE $__timeFilter_ms(inserted_at)",
    above: 10,
    windowS: 900,
    holds: "1m",
    board: "courtside-pipeline",
  },
  {
    uid: "courtside-checkpoints",
    title: "Inserts or checkpoints fail",
    summary: "A span of a checkpoint or of its insert has failed within 10 minutes.",
    todo: "The job goes on from the last good checkpoint; look at the store and the disk before it has to.",
    severity: "page",
    sql: `SELECT count() AS failures FROM courtside.otel_traces WHERE $__timeFilter_ms(Timestamp)
  AND StatusCode = 'Error' AND (SpanName LIKE 'clickhouse.%' OR SpanName LIKE '%checkpoint%')`,
    above: 0,
    windowS: 600,
    holds: "1m",
    board: "courtside-pipeline",
  },
  {
    uid: "courtside-brier",
    title: "The model is worse than a coin",
    summary: "The Brier score over the plays of the games of the last day is above 0.25.",
    todo: "Look at reliability and drift; roll back the model when a new version is to blame.",
    severity: "ticket",
    sql: `SELECT avg(pow(p.home_win_prob - (r.home_score > r.away_score), 2)) AS brier
FROM courtside.predictions_current AS p INNER JOIN courtside.game_results_current AS r ON r.game_id = p.game_id
WHERE $__timeFilter_ms(p.ingest_time) HAVING uniqExact(p.game_id) >= 10 OR isNaN(brier) = 0`,
    above: 0.25,
    windowS: 86_400,
    holds: "10m",
    board: "courtside-season",
  },
  {
    uid: "courtside-drift",
    title: "Inputs of the model have shifted",
    summary:
      "A model input has moved by more than half a standard deviation in the newest quarter of the games.",
    todo: "The drift board names the input and the games that moved it.",
    severity: "ticket",
    sql: `SELECT max(abs(shift)) AS shift FROM (${DRIFT})`,
    above: 0.5,
    windowS: 604_800,
    holds: "10m",
    board: "courtside-drift",
  },
];

export function alertRules(): RuleGroup {
  return new RuleGroupBuilder("courtside")
    .folderUid("courtside")
    .interval(INTERVAL_S)
    .rules(ALERTS.map((alert) => ruleOf(alert)))
    .build();
}

function ruleOf(alert: AlertOptions): Builder<Rule> {
  const { uid, title, summary, todo, severity, sql, above, windowS, holds, board } = alert;
  const range = { from: windowS, to: 0 };
  return (
    new RuleBuilder(title)
      .uid(uid)
      .orgID(1)
      .folderUID("courtside")
      .ruleGroup("courtside")
      .condition("B")
      .withQuery(
        new QueryBuilder("A")
          .datasourceUid(DATASOURCE.uid)
          .relativeTimeRange(range)
          .model(query("table", sql)),
      )
      .withQuery(
        new QueryBuilder("B")
          .datasourceUid(EXPRESSION_UID)
          .relativeTimeRange(range)
          .model(threshold(above)),
      )
      .forDuration(holds)
      // Between game nights there are no rows, and that is well.
      .noDataState("OK")
      .execErrState("Error")
      .labels({ severity, service: "courtside" })
      .annotations({ summary, description: todo, __dashboardUid__: board })
  );
}

/** True when the number of A is above the limit. */
function threshold(above: number): Builder<Dataquery> {
  const model = {
    refId: "B",
    datasource: { type: EXPRESSION_UID, uid: EXPRESSION_UID },
    type: "threshold",
    expression: "A",
    conditions: [{ evaluator: { type: "gt", params: [above] } }],
  };
  return { build: () => model as unknown as Dataquery };
}
