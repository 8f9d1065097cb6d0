/** The JSON that the page gets. Times are epoch milliseconds, probabilities 0..1, game times seconds. */

export type WireSide = "home" | "away";

export interface WireTeam {
  readonly teamId: number;
  /** Three letters; `HOME` or `AWAY` until it is known. */
  readonly tricode: string;
  readonly name: string;
}

/** `scheduled` has no play yet, `final` has its result. */
export type GameStatus = "scheduled" | "live" | "final";

/** A line of the game list. */
export interface GameSummary {
  id: string;
  synthetic: boolean;
  season: number;
  date: string;
  tipoffTimeMs: number;
  home: WireTeam;
  away: WireTeam;
  status: GameStatus;
  homeScore: number;
  awayScore: number;
  /** 0 before the first play. */
  period: number;
  clockS: number;
  /** Null until there is a prediction. */
  homeWinProb: number | null;
  /** Ingest time of the newest play, 0 before the first. */
  lastPlayTimeMs: number;
  plays: number;
  /** Home win probability in whole percent at the end of each game minute so far; null where unknown. */
  spark: (number | null)[];
  possession: WireSide | null;
  /** Worth of a point now against one at an even tip-off, 0..9.9; see `story.ts`. Null without a prediction. */
  leverage: number | null;
  /** Sum of all changes of the probability so far. */
  excitement: number;
  /** How far the side that is ahead was down, 0..1. */
  comeback: number | null;
}

export interface GameFacts {
  readonly venue: string;
  readonly neutralSite: boolean;
  readonly seasonType: string;
  readonly homeElo: number | null;
  readonly awayElo: number | null;
  readonly homePregameWinProb: number | null;
  readonly closingSpreadHome: number | null;
}

/** What the score bug shows beside score and clock; null is "not known". */
export interface GameSituation {
  readonly possession: WireSide | "none" | null;
  readonly possessionReason: string;
  readonly homeFouls: number | null;
  readonly awayFouls: number | null;
  readonly homeInBonus: boolean | null;
  readonly awayInBonus: boolean | null;
  readonly homeTimeouts: number | null;
  readonly awayTimeouts: number | null;
  /** Unanswered points: positive home, negative away. */
  readonly currentRun: number | null;
  readonly leadChanges: number | null;
  readonly homeWinProbLow: number | null;
  readonly homeWinProbHigh: number | null;
  readonly homeRunProb: number | null;
  readonly awayRunProb: number | null;
  readonly model: string;
}

/** One play: a row of the list and a point of the curve. */
export interface PlayRow {
  readonly number: number;
  readonly revision: number;
  readonly retracted: boolean;
  readonly period: number;
  readonly clockS: number;
  /** Game time since tip-off. */
  readonly elapsedS: number;
  readonly homeScore: number;
  readonly awayScore: number;
  readonly kind: string;
  readonly side: WireSide | null;
  readonly text: string;
  /** Points that it made, 0..3. */
  readonly points: number;
  readonly homeWinProb: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly ingestTimeMs: number;
  /** Player who acts, 0 when there is none. */
  readonly actorId: number;
  /** Field-goal attempt with its place in feet from the basket; null for all else and where the place is not known. */
  readonly shot: ShotPlace | null;
  /** Unanswered points after it: positive home, negative away. */
  readonly run: number;
  readonly possession: WireSide | null;
}

export interface ShotPlace {
  /** To the right seen from mid-court. */
  readonly xFt: number;
  /** From the basket towards mid-court. */
  readonly yFt: number;
  readonly value: number;
  readonly made: boolean;
}

/** A fired five-minute window in short: a point of the small multiples. */
export interface TrendRow {
  readonly side: WireSide;
  /** Game time at which the window ends, seconds. */
  readonly endS: number;
  readonly pace: number | null;
  readonly effectiveFg: number | null;
  readonly turnovers: number;
  readonly points: number;
}

/** A model input as it was. */
export interface FeatureValue {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly value: number;
}

/** What one input did to the probability, in probability points of the home side. */
export interface Contribution {
  readonly feature: string;
  readonly contribution: number;
}

export interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly kind: string;
  /** Epoch microseconds, for differences within a trace. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly status: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** All that was known right after one play: `GET /api/games/ID/plays/NUMBER`. */
export interface PlayMoment {
  readonly play: PlayRow;
  readonly situation: GameSituation | null;
  /** The state of the game as Protobuf JSON, as it was published. */
  readonly state: Readonly<Record<string, unknown>> | null;
  readonly modelName: string;
  readonly modelVersion: string;
  readonly traceId: string;
  /** Milliseconds from publish to the prediction and to the visible row; null when not known (yet). */
  readonly publishToPredictionMs: number | null;
  readonly publishToRowMs: number | null;
  /** Null when the store has no row of it (yet). */
  readonly features: readonly FeatureValue[] | null;
  /** Null when the scoring server explains nothing. */
  readonly contributions: readonly Contribution[] | null;
  readonly windows: readonly WindowRow[];
  readonly players: readonly PlayerLine[];
  readonly spans: readonly WireSpan[];
}

export interface PlayerLine {
  readonly id: number;
  readonly name: string;
  readonly side: WireSide;
  readonly starter: boolean;
  readonly onCourt: boolean;
  /** Game time that the times of this line are as of: lines come when they change, time runs on between them. */
  readonly asOfS: number;
  readonly playedS: number;
  readonly stintS: number;
  readonly stintMaxS: number;
  readonly restS: number;
  readonly last12S: number;
  readonly points: number;
  readonly fieldGoals: readonly [made: number, attempted: number];
  readonly threes: readonly [made: number, attempted: number];
  readonly freeThrows: readonly [made: number, attempted: number];
  readonly rebounds: readonly [offensive: number, defensive: number];
  readonly assists: number;
  readonly steals: number;
  readonly blocks: number;
  readonly turnovers: number;
  readonly fouls: number;
  readonly plusMinus: number;
  readonly usage: number;
  readonly trueShooting: number;
}

/** A team's numbers over the last `sizeS` seconds of game time, as of `endS`. */
export interface WindowRow {
  readonly side: WireSide;
  readonly sizeS: number;
  readonly endS: number;
  readonly points: number;
  readonly fieldGoals: readonly [made: number, attempted: number];
  readonly threesMade: number;
  readonly freeThrows: readonly [made: number, attempted: number];
  readonly turnovers: number;
  readonly offensiveRebounds: number;
  readonly possessions: number;
  /** 0..1.5, null without attempts. */
  readonly effectiveFg: number | null;
  /** Possessions per 48 minutes; null in the first minute. */
  readonly pace: number | null;
}

export interface ResultLine {
  readonly homeScore: number;
  readonly awayScore: number;
  readonly periods: number;
  readonly plays: number;
  readonly homeEloBefore: number;
  readonly homeEloAfter: number;
  readonly awayEloBefore: number;
  readonly awayEloAfter: number;
  readonly homeWinProb: number;
}

/** All that is known of a game, or (in a `game` event) what changed: lists hold changed rows only. */
export interface GameDetail {
  readonly id: string;
  readonly summary: GameSummary;
  readonly facts: GameFacts | null;
  readonly situation: GameSituation | null;
  readonly result: ResultLine | null;
  readonly plays: readonly PlayRow[];
  readonly players: readonly PlayerLine[];
  readonly windows: readonly WindowRow[];
  readonly trend: readonly TrendRow[];
}

/** Where the server itself stands. */
export interface FeedStatus {
  /** `waiting`: no stream yet; `catching-up`: reading what is stored; `live`: new insights arrive as they come. */
  readonly phase: "waiting" | "catching-up" | "live" | "disconnected";
  /** Insights folded so far, and refused as seen or stale. */
  readonly insights: number;
  readonly refused: number;
  /** Messages that were in the stream when reading began. */
  readonly backlog: number;
  /** Games that the view has no room for. */
  readonly notShown: number;
  /** Plays that the broker has taken since the job last told anything, once that is worrying; 0 while all is well. */
  readonly waitingPlays: number;
}
