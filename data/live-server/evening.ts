import { boxScorePath, playByPlayPath, SCHEDULE_PATH, SCOREBOARD_PATH } from "../live/schedule.ts";
import { seededRandom } from "../../base/random.ts";
import { RecordedGame, type RecordingOptions } from "./recorded-game.ts";
import type { Json } from "../readers/json-cells.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** The league's day turns over in the morning, New York time; so far behind midnight UTC. */
const DAY_STARTS_MS = 14 * HOUR_MS;

/** The evening begins so long before the first play. */
const LEAD_MS = 120_000;

const STALL_MS = 420_000;

export interface EveningOptions extends RecordingOptions {
  /** YYYY-MM-DD that the evening is shown under. */
  readonly date: string;
  /** Ids of games that are listed and postponed: nobody ever plays them. */
  readonly postponed: readonly string[];
  /** Whether each game's feed stands still once, for seven minutes, and jumps then. */
  readonly stalls: boolean;
}

/** A document at one moment. */
export interface EveningDocument {
  readonly body: string;
  /** Another one for another body. */
  readonly version: string;
}

interface Slot {
  readonly game: RecordedGame;
  /** From evening time to the time of the recording. */
  readonly shiftMs: number;
  readonly stallFromMs: number;
}

/**
 * Recorded games as one evening, whatever days they were played on: each at its own time of day, its documents
 * unchanged. Evening time is epoch milliseconds of the given date.
 */
export class Evening {
  readonly startMs: number;
  /** Nothing changes from here on. */
  readonly endMs: number;
  readonly #slots = new Map<string, Slot>();
  readonly #options: EveningOptions;

  constructor(lines: readonly Json[], options: EveningOptions) {
    this.#options = options;
    const evening = Date.parse(`${options.date}T00:00:00Z`) + DAY_STARTS_MS;
    for (const line of lines) {
      const game = new RecordedGame(line, options);
      const day = Math.floor((game.startMs - DAY_STARTS_MS) / DAY_MS) * DAY_MS + DAY_STARTS_MS;
      const random = seededRandom(options.seed).fork(game.gameId);
      const stallFromMs = options.stalls
        ? game.startMs + random.next() * (game.endMs - game.startMs - STALL_MS)
        : Number.POSITIVE_INFINITY;
      this.#slots.set(game.gameId, { game, shiftMs: day - evening, stallFromMs });
    }
    const slots = [...this.#slots.values()];
    this.startMs = Math.min(...slots.map(({ game, shiftMs }) => game.startMs - shiftMs)) - LEAD_MS;
    this.endMs = Math.max(...slots.map(({ game, shiftMs }) => game.settledMs - shiftMs));
  }

  get gameIds(): readonly string[] {
    return [...this.#slots.keys()];
  }

  /** @returns undefined for what the feed does not have, or not yet. */
  document(path: string, atMs: number): EveningDocument | undefined {
    if (path === SCOREBOARD_PATH) return this.#scoreboard(atMs);
    if (path === SCHEDULE_PATH) return this.#schedule(atMs);
    const gameId = /_(\d{10})\.json$/.exec(path)?.[1] ?? "";
    const slot = this.#slots.get(gameId);
    if (slot === undefined) return undefined;
    const gameMs = timeOf(slot, atMs);
    if (path === playByPlayPath(gameId)) return slot.game.playByPlayAt(gameMs);
    return path === boxScorePath(gameId) ? slot.game.boxScoreAt(gameMs) : undefined;
  }

  #scoreboard(atMs: number): EveningDocument {
    const { date } = this.#options;
    const body = JSON.stringify({
      meta: { version: 1 },
      scoreboard: { gameDate: date, leagueId: "00", games: this.#games(atMs, "gameTimeUTC") },
    });
    return { body, version: this.#statuses(atMs) };
  }

  #schedule(atMs: number): EveningDocument {
    const [year, month, day] = this.#options.date.split("-");
    const gameDate = `${month ?? ""}/${day ?? ""}/${year ?? ""} 00:00:00`;
    const games = this.#games(atMs, "gameDateTimeUTC");
    const body = JSON.stringify({
      meta: { version: 1 },
      leagueSchedule: { leagueId: "00", gameDates: [{ gameDate, games }] },
    });
    return { body, version: this.#statuses(atMs) };
  }

  #games(atMs: number, timeName: string): Json[] {
    const played = [...this.#slots.values()].map((slot) => ({
      gameId: slot.game.gameId,
      gameStatus: slot.game.statusAt(timeOf(slot, atMs)),
      gameStatusText: STATUS_TEXTS[slot.game.statusAt(timeOf(slot, atMs))],
      postponedStatus: "N",
      [timeName]: new Date(slot.game.gameTimeMs - slot.shiftMs).toISOString(),
      homeTeam: slot.game.team("homeTeam"),
      awayTeam: slot.game.team("awayTeam"),
    }));
    const postponed = this.#options.postponed.map((gameId) => ({
      gameId,
      gameStatus: 1,
      gameStatusText: "PPD",
      postponedStatus: "Y",
      [timeName]: new Date(this.startMs + LEAD_MS).toISOString(),
    }));
    return [...played, ...postponed];
  }

  #statuses(atMs: number): string {
    const slots = [...this.#slots.values()];
    return slots.map((slot) => slot.game.statusAt(timeOf(slot, atMs))).join("");
  }
}

const STATUS_TEXTS = { 1: "7:00 pm ET", 2: "Live", 3: "Final" } as const;

/** Time of the recording; it stands still while the feed does. */
function timeOf({ shiftMs, stallFromMs }: Slot, atMs: number): number {
  const gameMs = atMs + shiftMs;
  return gameMs > stallFromMs && gameMs < stallFromMs + STALL_MS ? stallFromMs : gameMs;
}
