import { setTimeout as delay } from "node:timers/promises";
import type { ClickHouseClient } from "@clickhouse/client";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";

/** Between two looks at the scores; a game ends every few minutes at the most. */
const INTERVAL_MS = 10_000;

/** Values above which an alarm is raised, and games below which chance alone would raise it. */
export const THRESHOLDS = {
  /** Brier over a week's games; the served model has 0.148 on a season, 0.16 is what score and time alone give. */
  brier: { value: 0.18, games: 20 },
  /** Calibration error; that of twenty games is up to 0.1 by chance. */
  calibration: { value: 0.08, games: 50 },
  /** Population stability index of an input over a week: over 0.25 a lot has changed. */
  drift: { value: 0.25, games: 10 },
  /** Standard errors by which a challenger has the lower Brier on the same games. */
  challenger_better: { value: 2, games: 30 },
  /** Values that differ between stored and recomputed vectors. */
  parity: { value: 0, games: 1 },
} as const;

interface Alarm {
  readonly alarm: keyof typeof THRESHOLDS;
  readonly subject: string;
  readonly window_start: string;
  readonly value: number;
  readonly threshold: number;
  readonly game_ids: readonly string[];
}

interface Quality {
  readonly games: number;
  readonly brier: number;
  readonly log_loss: number;
  readonly calibration_error: number;
  readonly auc: number;
}

/**
 * Looks at the sums that the job wrote, sets the metrics and writes alarms: each at most once a week and subject, by a
 * token, however many of these run.
 */
export class Judge {
  readonly #client: ClickHouseClient;
  readonly #log: Log;
  #quality: Quality = { games: 0, brier: 0, log_loss: 0, calibration_error: 0, auc: 0 };
  #drift = { psi: 0, ks: 0 };
  #parity = { games: 0, vectors: 0, differences: 0 };
  #active = 0;
  readonly #told = new Set<string>();

  constructor(client: ClickHouseClient, metrics: Metrics, log: Log) {
    this.#client = client;
    this.#log = log;
    const gauge = metrics.gauge.bind(metrics);
    gauge(
      "courtside.model.games",
      "{game}",
      "Ended games of the served model",
      () => this.#quality.games,
    );
    gauge(
      "courtside.model.brier",
      "1",
      "Brier score of the served model over all games",
      () => this.#quality.brier,
    );
    gauge(
      "courtside.model.log_loss",
      "1",
      "Log loss of the served model over all games",
      () => this.#quality.log_loss,
    );
    gauge(
      "courtside.model.calibration_error",
      "1",
      "Calibration error of the served model over all games",
      () => this.#quality.calibration_error,
    );
    gauge(
      "courtside.model.auc",
      "1",
      "Area under the curve of the served model over all games",
      () => this.#quality.auc,
    );
    gauge(
      "courtside.drift.psi",
      "1",
      "Largest stability index of any input in the latest week",
      () => this.#drift.psi,
    );
    gauge(
      "courtside.drift.ks",
      "1",
      "Largest Kolmogorov-Smirnov distance of any input in the latest week",
      () => this.#drift.ks,
    );
    gauge(
      "courtside.parity.games",
      "{game}",
      "Games whose vectors were recomputed",
      () => this.#parity.games,
    );
    gauge(
      "courtside.parity.vectors",
      "{vector}",
      "Vectors that were recomputed",
      () => this.#parity.vectors,
    );
    gauge(
      "courtside.parity.differences",
      "{value}",
      "Recomputed values that differ from the stored ones",
      () => this.#parity.differences,
    );
    gauge("courtside.model.alarms", "{alarm}", "Alarms of the latest week", () => this.#active);
  }

  /** Until the signal; a store that is away is asked again. */
  async run(signal: AbortSignal, intervalMs: number = INTERVAL_MS): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        this.#log.warn("scorecard_look_failed", { error: errorText(error) });
      }
      await delay(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look. @returns the alarms that hold. */
  async look(): Promise<readonly Alarm[]> {
    const [quality] = await this.#rows<Quality>(QUALITY);
    if (quality !== undefined) this.#quality = quality;
    const [drift] = await this.#rows<{ psi: number; ks: number }>(DRIFT);
    if (drift !== undefined) this.#drift = drift;
    const [parity] = await this.#rows<{ games: number; vectors: number; differences: number }>(
      PARITY,
    );
    if (parity !== undefined) this.#parity = parity;
    const alarms = await this.#rows<Alarm>(ALARMS);
    this.#active = alarms.length;
    for (const alarm of alarms) await this.#raise(alarm);
    return alarms;
  }

  async #raise(alarm: Alarm): Promise<void> {
    const token = `alarm/${alarm.alarm}/${alarm.subject}/${alarm.window_start}`;
    if (this.#told.has(token)) return;
    await this.#client.insert({
      table: "courtside.model_alarms",
      values: [alarm],
      format: "JSONEachRow",
      clickhouse_settings: { insert_deduplicate: 1, insert_deduplication_token: token },
    });
    this.#told.add(token);
    const { alarm: kind, subject, value, threshold } = alarm;
    this.#log.warn("model_alarm", {
      alarm: kind,
      subject,
      value,
      threshold,
      games: alarm.game_ids.join(" "),
    });
  }

  async #rows<T>(query: string): Promise<T[]> {
    return (await this.#client.query({ query, format: "JSONEachRow" })).json<T>();
  }
}

const QUALITY = `SELECT toUInt32(games) AS games, brier, log_loss, calibration_error, ifNotFinite(auc, 0) AS auc
  FROM courtside.model_quality WHERE role = 'served' AND slice_kind = 'all' ORDER BY games DESC LIMIT 1`;

const DRIFT = `SELECT max(psi) AS psi, max(ks) AS ks FROM courtside.feature_drift_windows
  GROUP BY window_start ORDER BY window_start DESC LIMIT 1`;

const PARITY = `SELECT toUInt32(count()) AS games, toUInt32(sum(vectors)) AS vectors,
  toUInt32(sum(differences) + sum(missing)) AS differences FROM courtside.feature_parity`;

const { brier, calibration, drift, challenger_better: challenger } = THRESHOLDS;

/** One week's sums of the served model, as in \`model_quality\`. */
const WEEKS = `SELECT model_version AS subject, toMonday(game_date) AS week, uniqExact(game_id) AS games,
    sum(brier_sum) / sum(plays) AS brier,
    sumForEachIf(bin_plays, home_won) AS won, sumForEach(bin_prob_sums) AS probs,
    arraySum(b -> abs(arraySum(arraySlice(probs, b * 5 + 1, 5)) - arraySum(arraySlice(won, b * 5 + 1, 5))), range(20)) / sum(plays) AS calibration,
    arraySlice(arrayMap(x -> x.2, arrayReverseSort(groupArray((brier_sum / plays, game_id)))), 1, 5) AS game_ids
  FROM courtside.model_scores_current WHERE role = 'served' AND slice_kind = 'all' GROUP BY subject, week`;

const ALARMS = `
SELECT 'brier' AS alarm, subject, toString(week) AS window_start, brier AS value, toFloat64(${brier.value}) AS threshold, game_ids
FROM (${WEEKS}) WHERE games >= ${brier.games} AND brier > ${brier.value}
UNION ALL
SELECT 'calibration', subject, toString(week), calibration, ${calibration.value}, game_ids
FROM (${WEEKS}) WHERE games >= ${calibration.games} AND calibration > ${calibration.value}
UNION ALL
SELECT 'drift', feature, toString(window_start), psi, ${drift.value}, game_ids
FROM courtside.feature_drift_windows WHERE games >= ${drift.games} AND psi > ${drift.value}
UNION ALL
SELECT 'challenger_better', challenger, toString(toMonday(now())), -z, toFloat64(${challenger.value}), []
FROM courtside.model_versus WHERE games >= ${challenger.games} AND z < -${challenger.value}
UNION ALL
SELECT 'parity', game_id, toString(toMonday(inserted_at)), toFloat64(differences + missing), 0., [game_id]
FROM courtside.feature_parity WHERE differences + missing > 0
LIMIT 100`;
