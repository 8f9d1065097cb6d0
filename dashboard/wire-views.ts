/** The JSON of the views beside the live ones. Times are epoch milliseconds, probabilities 0..1. */

export interface SeasonGame {
  readonly id: string;
  readonly date: string;
  readonly home: string;
  readonly away: string;
  readonly homeScore: number;
  readonly awayScore: number;
  readonly periods: number;
  readonly pregame: number | null;
  readonly excitement: number;
  /** How far the winner was down, 0..1. */
  readonly comeback: number;
  readonly brier: number;
}

export interface CalibrationBin {
  /** Lower edge of the predicted probability, 0, 0.1, ... 0.9. */
  readonly from: number;
  readonly plays: number;
  readonly predicted: number;
  readonly observed: number;
}

export interface SeasonView {
  readonly games: readonly SeasonGame[];
  readonly finished: number;
  readonly plays: number;
  readonly brier: number | null;
  readonly logLoss: number | null;
  readonly homeWins: number;
  readonly calibration: readonly CalibrationBin[];
}

/** What a person wants to know of a model; whoever starts the page reads it from the registry. */
export interface ModelEntry {
  readonly version: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly card: Readonly<Record<string, unknown>>;
}

export interface TimeBucket {
  readonly version: string;
  /** For example `1-3 min`; ordered by `rank`, most time left first. */
  readonly left: string;
  readonly rank: number;
  readonly plays: number;
  readonly brier: number;
  /** The same plays scored by score and time alone (Stern 1994). */
  readonly baseline: number;
}

export interface VersionUse {
  readonly version: string;
  readonly name: string;
  readonly plays: number;
  readonly games: number;
  readonly first: string;
  readonly last: string;
  readonly brier: number | null;
}

/** A model on a slice of the games that have ended, as the scorecard job counted it. */
export interface ScoreRow {
  readonly version: string;
  /** `served`, or the alias of a model in the shadow. */
  readonly role: string;
  readonly kind: string;
  readonly slice: string;
  readonly games: number;
  readonly predictions: number;
  readonly brier: number;
  readonly logLoss: number;
  readonly auc: number | null;
  readonly calibrationError: number;
}

/** How far an input has moved from the training data in one week. */
export interface DriftRow {
  /** Monday, YYYY-MM-DD. */
  readonly week: string;
  readonly feature: string;
  readonly games: number;
  /** Population stability index: below 0.1 nothing, above 0.25 much. */
  readonly psi: number;
  readonly ks: number;
  /** Games that had most part in it, first the one with most. */
  readonly gameIds: readonly string[];
}

/** A challenger against the champion on the same games. */
export interface VersusRow {
  readonly challenger: string;
  readonly champion: string;
  readonly role: string;
  readonly games: number;
  /** Negative: the challenger is better. */
  readonly brierDifference: number;
  readonly z: number;
}

export interface AlarmRow {
  readonly alarm: string;
  readonly subject: string;
  readonly week: string;
  readonly value: number;
  readonly threshold: number;
  readonly gameIds: readonly string[];
}

export interface ModelView {
  readonly models: readonly ModelEntry[];
  readonly versions: readonly VersionUse[];
  readonly byTime: readonly TimeBucket[];
  readonly reliability: readonly (CalibrationBin & { readonly version: string })[];
  readonly drift: readonly DriftRow[];
  readonly scores: readonly ScoreRow[];
  readonly versus: readonly VersusRow[];
  readonly alarms: readonly AlarmRow[];
}

export interface TraceLine {
  readonly traceId: string;
  /** Epoch milliseconds. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly spans: number;
  readonly root: string;
  readonly services: readonly string[];
  readonly failed: boolean;
  readonly gameId: string;
  readonly playNumber: number;
}

export interface TracesView {
  readonly traces: readonly TraceLine[];
  readonly services: readonly string[];
}

/** What the broker says of a stream. */
export interface StreamStand {
  readonly name: string;
  readonly messages: number;
  readonly bytes: number;
  readonly lastSequence: number;
  readonly consumers: number;
}

/** The last input that a producer has told of. */
export interface ProducerStand {
  readonly job: string;
  readonly stage: string;
  readonly keyGroup: number;
  readonly inputSequence: number;
  readonly epoch: number;
}

/** One stage of a play's way with its times in milliseconds. */
export interface StageLatency {
  readonly stage: string;
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface MinuteLoad {
  /** Epoch milliseconds of the start of the ten seconds. */
  readonly timeMs: number;
  readonly plays: number;
  readonly p50: number;
  readonly p99: number;
}

/** A sample of a metrics endpoint. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PipelineView {
  readonly timeMs: number;
  /** Null when the broker does not answer. */
  readonly streams: readonly StreamStand[] | null;
  readonly stages: readonly StageLatency[] | null;
  readonly spans: readonly (StageLatency & { readonly service: string })[] | null;
  readonly load: readonly MinuteLoad[] | null;
  readonly deadLetters: readonly { readonly reason: string; readonly count: number }[] | null;
  /** What the job's own metrics endpoint says; null when it does not answer. */
  readonly metrics: readonly MetricSample[] | null;
  /** Highest input sequence by key group that has reached the page, and who wrote it last. */
  readonly producers: readonly ProducerStand[];
  /** Who works on the insight job; null when the broker does not tell. */
  readonly job: JobStand | null;
}

export interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  /** True when there were more rows than are sent. */
  readonly cut: boolean;
  readonly elapsedMs: number;
}

/** What this page was started with. */
export interface About {
  /** Where the links to Grafana lead; null for none. */
  readonly grafanaUrl: string | null;
  /** True when the model can be asked. */
  readonly predict: boolean;
  readonly store: boolean;
}

/** What `courtside jobs --json` tells, as far as the page shows it. */
export interface JobStand {
  readonly job: string;
  readonly generation: number;
  readonly key_groups: number;
  readonly stopped: boolean;
  readonly workers: readonly { readonly id: string }[];
  readonly regions: readonly RegionStand[];
}

/** A part of the key groups with the worker that holds its lease. */
export interface RegionStand {
  readonly region: number;
  /** For example `0-31`. */
  readonly key_groups: string;
  /** Empty for nobody. */
  readonly worker: string;
  readonly state: string;
  readonly epoch: number;
  readonly checkpoint: number;
  /** UTC, to the second; empty before the first checkpoint. */
  readonly checkpoint_time: string;
  readonly sequence: number;
  readonly state_bytes: number;
  readonly failures: number;
  readonly error: string;
}
