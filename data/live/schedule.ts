import { normalGameId } from "../readers/game-id.ts";
import { type Json, list, member, text } from "../readers/json-cells.ts";

/** Today's games, small and fresh; and all games of the season. */
export const SCOREBOARD_PATH = "/liveData/scoreboard/todaysScoreboard_00.json";
export const SCHEDULE_PATH = "/staticData/scheduleLeagueV2.json";

export function playByPlayPath(gameId: string): string {
  return `/liveData/playbyplay/playbyplay_${gameId}.json`;
}

export function boxScorePath(gameId: string): string {
  return `/liveData/boxscore/boxscore_${gameId}.json`;
}

/** A game as the schedule or the scoreboard lists it. */
export interface ListedGame {
  readonly gameId: string;
  /** Scheduled start, epoch milliseconds; undefined when it is still open. */
  readonly tipoffMs: number | undefined;
  readonly isPostponed: boolean;
}

/** Day that the scoreboard shows, YYYY-MM-DD; it turns over in the morning, not at midnight. */
export function scoreboardDate(scoreboard: Json): string {
  return text(member(member(scoreboard, "scoreboard"), "gameDate"));
}

export function scoreboardGames(scoreboard: Json): ListedGame[] {
  return list(member(member(scoreboard, "scoreboard"), "games")).flatMap((game) =>
    listed(game, "gameTimeUTC"),
  );
}

/** @param date - YYYY-MM-DD, of the league's own day. */
export function scheduledGames(schedule: Json, date: string): ListedGame[] {
  const [year = "", month = "", day = ""] = date.split("-");
  const days = list(member(member(schedule, "leagueSchedule"), "gameDates"));
  const found = days.filter((each) =>
    text(member(each, "gameDate")).startsWith(`${month}/${day}/${year}`),
  );
  return found.flatMap((each) =>
    list(member(each, "games")).flatMap((game) => listed(game, "gameDateTimeUTC")),
  );
}

const POSTPONED = /^\s*(?:ppd|postponed|cancell?ed)/i;

function listed(game: Json, timeName: string): ListedGame[] {
  const gameId = normalGameId(text(member(game, "gameId")));
  if (gameId === undefined) return [];
  const timeMs = Date.parse(text(member(game, timeName)));
  const status = text(member(game, "postponedStatus"));
  return [
    {
      gameId,
      tipoffMs: Number.isFinite(timeMs) ? timeMs : undefined,
      isPostponed:
        status === "Y" || status === "P" || POSTPONED.test(text(member(game, "gameStatusText"))),
    },
  ];
}
