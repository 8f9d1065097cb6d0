import { type PlayEvent, Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { type Draft } from "./draft.ts";
import { type OfficialGame } from "./reference.ts";
import { teamById, type TeamName } from "./teams.ts";

/** The two teams of a game. */
export interface Teams {
  readonly home: TeamName;
  readonly away: TeamName;
}

/** Counts what the rows say about who is at home; the rows are right where the official table is not. */
export class SideVotes {
  readonly #home = new Map<number, number>();
  readonly #away = new Map<number, number>();
  readonly #names = new Map<number, { tricode: string; name: string }>();

  add(teamId: number, side: Side): void {
    const votes = side === Side.HOME ? this.#home : side === Side.AWAY ? this.#away : undefined;
    if (teamId !== 0) votes?.set(teamId, (votes.get(teamId) ?? 0) + 1);
  }

  isNamed(teamId: number): boolean {
    return this.#names.has(teamId);
  }

  name(teamId: number, tricode: string, name = ""): void {
    if (teamId === 0 || tricode === "" || this.#names.has(teamId)) return;
    this.#names.set(teamId, { tricode, name });
  }

  /** Both teams; a side that nothing tells has team id 0. */
  teams(official: OfficialGame | undefined): Teams {
    let home = most(this.#home);
    let away = most(this.#away);
    if (official !== undefined) {
      const { homeId, awayId } = official;
      if (home === 0) home = away === homeId ? awayId : homeId;
      if (away === 0) away = home === awayId ? homeId : awayId;
    }
    return { home: this.#team(home, official), away: this.#team(away, official) };
  }

  #team(teamId: number, official: OfficialGame | undefined): TeamName {
    const listed = [official?.home, official?.away].find((team) => team?.teamId === teamId);
    const known = listed ?? teamById(teamId);
    const named = this.#names.get(teamId);
    const tricode = named?.tricode ?? known?.tricode ?? "";
    const name = listed?.name ?? (named?.name === "" ? undefined : named?.name) ?? known?.name;
    return { teamId, tricode, name: name ?? tricode };
  }
}

function most(votes: ReadonlyMap<number, number>): number {
  let best = 0;
  for (const [team, count] of votes) if (count > (votes.get(best) ?? 0)) best = team;
  return best;
}

export function sideOf(teams: Teams, teamId: number): Side {
  if (teamId === 0) return Side.NONE;
  if (teamId === teams.home.teamId) return Side.HOME;
  return teamId === teams.away.teamId ? Side.AWAY : Side.NONE;
}

/** Sets the side of each play from its team; a team that does not play here makes a dead letter. */
export function setSides(drafts: readonly Draft[], teams: Teams): void {
  for (const draft of drafts) {
    const { play } = draft;
    play.side = sideOf(teams, play.teamId);
    if (play.teamId !== 0 && play.side === Side.NONE) {
      const { home, away } = teams;
      const expected = `${home.teamId} (home) or ${away.teamId} (away)`;
      const message = `team ${play.teamId} does not play in this game, expected ${expected}`;
      draft.problem ??= { reason: "UNKNOWN_TEAM", message };
    }
  }
}

/** Guesses sides from who scores when the home score rises; for feeds that do not state the home team. */
export function voteByScore(drafts: readonly Draft[], votes: SideVotes): void {
  let home = 0;
  let away = 0;
  for (const draft of drafts) {
    if (draft.problem !== undefined) continue;
    const homeScore = draft.homeScore ?? home;
    const awayScore = draft.awayScore ?? away;
    if (scored(draft.play) && homeScore - home + awayScore - away === draft.play.shotValue) {
      if (awayScore === away) votes.add(draft.play.teamId, Side.HOME);
      else if (homeScore === home) votes.add(draft.play.teamId, Side.AWAY);
    }
    home = homeScore;
    away = awayScore;
  }
}

function scored(play: PlayEvent): boolean {
  return play.shotMade && play.shotValue > 0;
}
