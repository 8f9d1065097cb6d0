import { type Insight, type PlayInsight } from "../proto/gen/courtside/v1/insight_pb.ts";
import { type GameInfo, League } from "../proto/gen/courtside/v1/play_pb.ts";
import {
  firedWindow,
  gameFacts,
  gameSituation,
  playerLine,
  playRow,
  secondsLeft,
  trailingWindows,
  trendRow,
  wireTeam,
} from "./insight-rows.ts";
import { comebackOf, leverageOf, newStory, type Story, tell } from "./story.ts";
import { PositionGuard, type PositionVerdict } from "./positions.ts";
import { type ProducerStand } from "./wire-views.ts";
import {
  type GameDetail,
  type GameFacts,
  type GameSituation,
  type GameSummary,
  type PlayerLine,
  type PlayRow,
  type ResultLine,
  type TrendRow,
  type WindowRow,
} from "./wire.ts";

/** A day has at most 15 NBA games; a game with its 500 rows takes about 300 KB, so this is about 75 MB. */
export const DEFAULT_MAX_GAMES = 256;

/** The longest game on record (six overtimes) would have about 900 rows; beyond this a game is ill. */
export const MAX_PLAYS_PER_GAME = 4_000;

/** Sides with both teams' players: rosters hold at most 15 each; two-way and replacement players fit in. */
export const MAX_PLAYERS_PER_GAME = 64;

/** Why an insight did not change the view. */
export type ApplyOutcome = "applied" | Exclude<PositionVerdict, "fresh"> | "empty" | "not-shown";

/** What changed since the last time: summaries of changed games, their changed rows, games given up. */
export interface Changes {
  readonly details: readonly GameDetail[];
  readonly removedIds: readonly string[];
}

interface Game {
  readonly summary: GameSummary;
  facts: GameFacts | null;
  situation: GameSituation | null;
  result: ResultLine | null;
  readonly plays: Map<number, PlayRow>;
  readonly players: Map<number, PlayerLine>;
  readonly windows: Map<string, WindowRow>;
  readonly trend: Map<string, TrendRow>;
  readonly starterIds: Set<number>;
  /** Place of each play's latest account in the stream, for looking it up again. */
  readonly sequences: Map<number, number>;
  story: Story;
  /** Number of the newest play, whose state the score bug shows. */
  headPlay: number;
  readonly changed: {
    plays: Set<number>;
    players: Set<number>;
    windows: Set<string>;
    trend: Set<string>;
  };
}

/** A game of 48 minutes and six overtimes fires 2 x 78 of the five-minute windows. */
const MAX_TREND_ROWS = 400;

/**
 * The view of all games: a pure fold over insights in stream order, bounded in games and rows. When it is
 * full the oldest finished game goes; when all games are live, a further game is not shown, since a game
 * of which the beginning is missing would be drawn wrong.
 */
export class GameBook {
  readonly #games = new Map<string, Game>();
  readonly #guard = new PositionGuard();
  readonly #changedIds = new Set<string>();
  #removedIds: string[] = [];
  /** Ids only: bounded by the games that the stream retains. */
  readonly #notShown = new Set<string>();
  readonly #maxGames: number;

  constructor(maxGames: number = DEFAULT_MAX_GAMES) {
    this.#maxGames = maxGames;
  }

  /** @param sequence - of the message on its stream, to find it again; 0 when there is none. */
  apply(insight: Insight, sequence = 0): ApplyOutcome {
    if (insight.position === undefined || insight.gameId === "") return "empty";
    const verdict = this.#guard.accept(insight.position);
    if (verdict !== "fresh") return verdict;
    if (insight.body.case === undefined) return "empty";
    const game = this.#gameFor(insight.gameId);
    if (game === undefined) return "not-shown";
    applyBody(game, insight, sequence);
    this.#changedIds.add(insight.gameId);
    return "applied";
  }

  /** Hands out what changed and starts a new list. */
  takeChanges(): Changes {
    const details: GameDetail[] = [];
    for (const id of this.#changedIds) {
      const game = this.#games.get(id);
      if (game !== undefined) details.push(takeChanged(game));
    }
    const removedIds = this.#removedIds;
    this.#changedIds.clear();
    this.#removedIds = [];
    return { details, removedIds };
  }

  /** Oldest first. */
  summaries(): GameSummary[] {
    return [...this.#games.values()].map((game) => copySummary(game));
  }

  /** Everything of one game; undefined when it is not in the view. */
  detail(id: string): GameDetail | undefined {
    const game = this.#games.get(id);
    return game === undefined ? undefined : wholeDetail(game);
  }

  /** Sequence of the message that told of a play last; undefined when there was none. */
  sequenceOf(id: string, playNumber: number): number | undefined {
    return this.#games.get(id)?.sequences.get(playNumber);
  }

  /** Where the writers of the insights are, by key group. */
  producers(): ProducerStand[] {
    return [...this.#guard.stands()];
  }

  /** Players who began the game. */
  startersOf(id: string): ReadonlySet<number> {
    return this.#games.get(id)?.starterIds ?? new Set();
  }

  /** Game time of a play in seconds; 0 when it is not known. */
  elapsedAt(id: string, playNumber: number): number {
    return this.#games.get(id)?.plays.get(playNumber)?.elapsedS ?? 0;
  }

  /** Games of the stream that the view has no room for. */
  get notShown(): number {
    return this.#notShown.size;
  }

  /** Forgets everything: the stream was made anew. */
  clear(): void {
    this.#games.clear();
    this.#guard.clear();
    this.#changedIds.clear();
    this.#removedIds = [];
    this.#notShown.clear();
  }

  #gameFor(id: string): Game | undefined {
    const known = this.#games.get(id);
    if (known !== undefined) return known;
    if (this.#notShown.has(id)) return undefined;
    if (this.#games.size >= this.#maxGames && !this.#dropOldestFinished()) {
      this.#notShown.add(id);
      return undefined;
    }
    const game = newGame(id);
    this.#games.set(id, game);
    return game;
  }

  #dropOldestFinished(): boolean {
    for (const [id, game] of this.#games) {
      if (game.summary.status !== "final") continue;
      this.#games.delete(id);
      // A late correction of it must not bring back a game without its beginning.
      this.#notShown.add(id);
      this.#changedIds.delete(id);
      this.#removedIds.push(id);
      return true;
    }
    return false;
  }
}

function applyBody(game: Game, insight: Insight, sequence: number): void {
  const { body } = insight;
  switch (body.case) {
    case "gameInfo":
      return applyInfo(game, body.value);
    case "play":
      return applyPlay(game, body.value, sequence);
    case "box":
      for (const load of body.value.players) {
        const isRoom = game.players.size < MAX_PLAYERS_PER_GAME || game.players.has(load.playerId);
        const play = game.plays.get(load.playNumber) ?? game.plays.get(game.headPlay);
        const line = playerLine(load, game.starterIds.has(load.playerId), play?.elapsedS ?? 0);
        if (line === undefined || !isRoom) continue;
        game.players.set(line.id, line);
        game.changed.players.add(line.id);
      }
      return;
    case "teamWindow":
      return applyFired(game, firedWindow(body.value));
    case "result": {
      const { gameId: _gameId, $typeName: _typeName, $unknown: _unknown, ...numbers } = body.value;
      const { homeEloBefore, homeEloAfter, awayEloBefore, awayEloAfter, ...rest } = numbers;
      game.result = { homeEloBefore, homeEloAfter, awayEloBefore, awayEloAfter, ...rest };
      game.summary.homeScore = rest.homeScore;
      game.summary.awayScore = rest.awayScore;
      game.summary.status = "final";
      return;
    }
    case undefined:
      return;
    default:
      body satisfies never;
  }
}

function applyInfo(game: Game, info: GameInfo): void {
  const { summary } = game;
  summary.synthetic = info.league === League.SYNTHETIC;
  summary.season = info.season;
  summary.date = info.gameDate;
  summary.tipoffTimeMs = Number(info.tipoffTimeMs);
  summary.home = wireTeam(info.home, "HOME");
  summary.away = wireTeam(info.away, "AWAY");
  game.facts = gameFacts(info);
  if (game.plays.size === 0) summary.homeWinProb = game.facts.homePregameWinProb;
  game.starterIds.clear();
  for (const player of info.roster) if (player.starter) game.starterIds.add(player.playerId);
}

function applyPlay(game: Game, insight: PlayInsight, sequence: number): void {
  const row = playRow(insight);
  if (row === undefined) return;
  const before = game.plays.get(row.number);
  if (before !== undefined && before.revision > row.revision) return;
  if (before === undefined && game.plays.size >= MAX_PLAYS_PER_GAME) return;
  game.plays.set(row.number, row);
  if (sequence > 0) game.sequences.set(row.number, sequence);
  game.changed.plays.add(row.number);
  game.summary.plays = game.plays.size;
  if (before === undefined && row.number > game.headPlay && !row.retracted)
    tell(game.story, row.homeWinProb);
  else game.story = retell(game);
  game.summary.excitement = game.story.excitement;
  game.summary.comeback = comebackOf(game.story);
  if (row.retracted) {
    // The play before it is told again behind this one, with the state that the game is back in.
    if (row.number === game.headPlay) game.headPlay = newestStanding(game);
    return;
  }
  // A correction of an earlier play is drawn where it belongs, but the score bug stays with the newest play.
  if (row.number < game.headPlay) return;
  game.headPlay = row.number;
  applyHead(game, insight, row);
}

function newestStanding({ plays }: Game): number {
  let newest = 0;
  for (const { number, retracted } of plays.values())
    if (!retracted && number > newest) newest = number;
  return newest;
}

/** A play in the middle changed: the account is made anew, which official corrections ask for a few times a game. */
function retell(game: Game): Story {
  const story = newStory();
  for (const row of sortedPlays(game)) if (!row.retracted) tell(story, row.homeWinProb);
  return story;
}

function applyHead(game: Game, { play, state, prediction }: PlayInsight, row: PlayRow): void {
  const { summary } = game;
  if (summary.status === "scheduled") summary.status = "live";
  if (play?.gameOver === true || state?.gameOver === true) summary.status = "final";
  else if (summary.status === "final") {
    summary.status = "live";
    game.result = null;
  }
  summary.homeScore = state?.homeScore ?? row.homeScore;
  summary.awayScore = state?.awayScore ?? row.awayScore;
  summary.period = row.period;
  summary.clockS = row.clockS;
  summary.lastPlayTimeMs = row.ingestTimeMs;
  if (row.homeWinProb !== null) {
    summary.homeWinProb = row.homeWinProb;
    const leverage = leverageOf(row.homeWinProb, secondsLeft(row.period, row.clockS));
    summary.leverage = summary.status === "final" ? 0 : leverage;
  }
  summary.possession = row.possession;
  drawSpark(summary.spark, row);
  if (state === undefined) return;
  game.situation = gameSituation(state, prediction);
  if (game.facts === null) {
    summary.home = wireTeam(undefined, state.homeTeam || "HOME");
    summary.away = wireTeam(undefined, state.awayTeam || "AWAY");
  }
  for (const window of trailingWindows(state, row.elapsedS)) applyWindow(game, window);
}

function applyWindow(game: Game, window: WindowRow | undefined): void {
  if (window === undefined) return;
  const key = `${window.side} ${String(window.sizeS)}`;
  if ((game.windows.get(key)?.endS ?? 0) > window.endS) return;
  game.windows.set(key, window);
  game.changed.windows.add(key);
}

function applyFired(game: Game, window: WindowRow | undefined): void {
  // The end of a game fires every pane that it touches; those that go past it hold time in which nobody played.
  const isOver = game.summary.status === "final";
  if (isOver && (window?.endS ?? 0) > (game.plays.get(game.headPlay)?.elapsedS ?? 0)) return;
  applyWindow(game, window);
  const row = window === undefined ? undefined : trendRow(window);
  if (row === undefined) return;
  const key = `${row.side} ${String(row.endS)}`;
  if (game.trend.size >= MAX_TREND_ROWS && !game.trend.has(key)) return;
  game.trend.set(key, row);
  game.changed.trend.add(key);
}

function drawSpark(spark: (number | null)[], row: PlayRow): void {
  const minute = Math.floor(row.elapsedS / 60);
  while (spark.length <= minute) spark.push(null);
  if (row.homeWinProb !== null) spark[minute] = Math.round(row.homeWinProb * 100);
}

function newGame(id: string): Game {
  return {
    summary: {
      id,
      synthetic: false,
      season: 0,
      date: "",
      tipoffTimeMs: 0,
      home: wireTeam(undefined, "HOME"),
      away: wireTeam(undefined, "AWAY"),
      status: "scheduled",
      homeScore: 0,
      awayScore: 0,
      period: 0,
      clockS: 0,
      homeWinProb: null,
      lastPlayTimeMs: 0,
      plays: 0,
      spark: [],
      possession: null,
      leverage: null,
      excitement: 0,
      comeback: null,
    },
    facts: null,
    situation: null,
    result: null,
    plays: new Map(),
    players: new Map(),
    windows: new Map(),
    trend: new Map(),
    starterIds: new Set(),
    sequences: new Map(),
    story: newStory(),
    headPlay: 0,
    changed: { plays: new Set(), players: new Set(), windows: new Set(), trend: new Set() },
  };
}

function wholeDetail(game: Game): GameDetail {
  return {
    ...detailHead(game),
    plays: sortedPlays(game),
    players: [...game.players.values()],
    windows: [...game.windows.values()],
    trend: [...game.trend.values()],
  };
}

function sortedPlays(game: Game): PlayRow[] {
  return [...game.plays.values()].sort((a, b) => a.number - b.number);
}

function takeChanged(game: Game): GameDetail {
  const { changed } = game;
  const detail: GameDetail = {
    ...detailHead(game),
    plays: pick(game.plays, changed.plays).sort((a, b) => a.number - b.number),
    players: pick(game.players, changed.players),
    windows: pick(game.windows, changed.windows),
    trend: pick(game.trend, changed.trend),
  };
  changed.plays.clear();
  changed.players.clear();
  changed.windows.clear();
  changed.trend.clear();
  return detail;
}

function detailHead(game: Game): Omit<GameDetail, "plays" | "players" | "windows" | "trend"> {
  const { facts, situation, result } = game;
  return { id: game.summary.id, summary: copySummary(game), facts, situation, result };
}

function copySummary(game: Game): GameSummary {
  return { ...game.summary, spark: [...game.summary.spark] };
}

function pick<K, V>(rows: ReadonlyMap<K, V>, keys: ReadonlySet<K>): V[] {
  return [...keys].flatMap((key) => rows.get(key) ?? []);
}
