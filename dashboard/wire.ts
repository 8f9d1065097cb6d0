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
}
