import {
  FoulKind,
  type PlayEvent,
  PlayKind,
  ReboundKind,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { type BoxScore, boxScoreOf } from "../agreement/box-score.ts";
import { type SourceGame } from "../source.ts";

export type ProfileZone = "rim" | "paint" | "mid" | "corner" | "top" | "heave";

/** Distances that bound the zones, feet; threes by their value. */
const RIM_MAX_FT = 4.5;
const PAINT_MAX_FT = 13.5;
const HEAVE_MIN_FT = 36;
/** Corner threes are taken below the break of the arc, 9.25 ft from the basket's line. */
const CORNER_MAX_Y_FT = 9.25;

/** Players of a team that count in the ranking by minutes. */
const RANKS = 10;
const CLOSE_MARGIN = 5;
const BLOWOUT_MARGIN = 20;
const COMEBACK_MARGIN = 10;

interface Counts {
  attempts: number;
  made: number;
  assisted: number;
}

/** What a season looks like: means a game of both sides together, shares 0..1, and distributions. */
export interface Profile {
  readonly games: number;
  readonly playsMean: number;
  readonly pointsMean: number;
  readonly pointsSd: number;
  /** First to ninth decile. */
  readonly pointsDeciles: readonly number[];
  readonly marginDeciles: readonly number[];
  readonly homeMarginMean: number;
  readonly marginSd: number;
  readonly absMarginMean: number;
  readonly homeWinShare: number;
  readonly overtimeShare: number;
  readonly closeShare: number;
  readonly blowoutShare: number;
  /** Games that the side won that was behind by ten or more. */
  readonly comebackShare: number;
  readonly leadChangesMean: number;
  readonly leadChangesSd: number;
  readonly turnoversMean: number;
  readonly stealsMean: number;
  readonly blocksMean: number;
  readonly offensiveReboundsMean: number;
  readonly offensiveReboundShare: number;
  readonly teamReboundsMean: number;
  readonly foulsMean: number;
  readonly shootingFoulsMean: number;
  readonly offensiveFoulsMean: number;
  readonly technicalsMean: number;
  readonly freeThrowsMean: number;
  readonly freeThrowRate: number;
  readonly substitutionsMean: number;
  readonly timeoutsMean: number;
  /** Field goal attempts of a game, by zone: share of all, make rate, assisted of the made. */
  readonly shotsMean: number;
  readonly zones: Readonly<
    Record<ProfileZone, { share: number; makeRate: number; assisted: number }>
  >;
  /** Mean minutes of a team's players by rank in its game. */
  readonly minutesByRank: readonly number[];
  readonly playersMean: number;
  /** Standard deviation of teams' mean margins over the season. */
  readonly teamMarginSd: number;
}

/** Adds up games to a profile. Box scores and line-ups need feeds that have them. */
export class Profiler {
  #games = 0;
  #plays = 0;
  readonly #totals: number[] = [];
  readonly #margins: number[] = [];
  readonly #leadChanges: number[] = [];
  readonly #counts = new Map<string, number>();
  readonly #zones = new Map<ProfileZone, Counts>();
  readonly #minutes = Array.from({ length: RANKS }, () => 0);
  readonly #teams = new Map<number, number[]>();
  #teamGames = 0;

  add({ info, plays }: SourceGame): void {
    const last = plays.at(-1);
    if (last === undefined) return;
    this.#games++;
    this.#plays += plays.length;
    const margin = last.homeScore - last.awayScore;
    this.#totals.push(last.homeScore + last.awayScore);
    this.#margins.push(margin);
    this.#count("overtime", last.period > 4);
    for (const [team, own] of [
      [info.home, margin],
      [info.away, -margin],
    ] as const) {
      const margins = this.#teams.get(team?.teamId ?? 0);
      if (margins === undefined) this.#teams.set(team?.teamId ?? 0, [own]);
      else margins.push(own);
    }
    this.#addCourse(plays, margin);
    for (const play of plays) this.#addPlay(play);
    this.#addMinutes(boxScoreOf(plays));
  }

  #addCourse(plays: readonly PlayEvent[], final: number): void {
    let leader = 0;
    let changes = 0;
    let behind = 0;
    for (const { homeScore, awayScore } of plays) {
      const lead = homeScore - awayScore;
      const now = Math.sign(lead);
      if (now !== 0 && leader !== 0 && now !== leader) changes++;
      if (now !== 0) leader = now;
      behind = Math.max(behind, -lead * Math.sign(final));
    }
    this.#leadChanges.push(changes);
    this.#count("comeback", behind >= COMEBACK_MARGIN);
  }

  #addPlay(play: PlayEvent): void {
    switch (play.kind) {
      case PlayKind.SHOT:
        this.#addShot(play);
        return;
      case PlayKind.FREE_THROW:
        this.#count("freeThrows");
        this.#count("freeThrowsMade", play.shotMade);
        return;
      case PlayKind.TURNOVER:
        this.#count("turnovers");
        this.#count("steals", play.stealerId !== 0);
        return;
      case PlayKind.STEAL:
        this.#count("steals");
        return;
      case PlayKind.BLOCK:
        this.#count("blocks");
        return;
      case PlayKind.REBOUND:
        if (play.actorId === 0) this.#count("teamRebounds");
        else this.#count(play.reboundKind === ReboundKind.OFFENSIVE ? "offensive" : "defensive");
        return;
      case PlayKind.FOUL:
        this.#addFoul(play);
        return;
      case PlayKind.SUBSTITUTION:
        // Feeds with two rows a change: the one that comes in counts.
        this.#count("substitutions", play.playerInId !== 0);
        return;
      case PlayKind.TIMEOUT:
        this.#count("timeouts");
        return;
      default:
    }
  }

  #addFoul({ foulKind }: PlayEvent): void {
    if (foulKind === FoulKind.TECHNICAL || foulKind === FoulKind.NON_PERSONAL) {
      this.#count("technicals");
      return;
    }
    this.#count("fouls");
    this.#count("shooting", foulKind === FoulKind.SHOOTING);
    this.#count("offensiveFouls", foulKind === FoulKind.OFFENSIVE);
  }

  #addShot(play: PlayEvent): void {
    const zone = zoneOf(play);
    let counts = this.#zones.get(zone);
    if (counts === undefined) {
      counts = { attempts: 0, made: 0, assisted: 0 };
      this.#zones.set(zone, counts);
    }
    counts.attempts++;
    if (play.shotMade) counts.made++;
    if (play.assisterId !== 0) counts.assisted++;
    this.#count("blocks", play.blockerId !== 0);
  }

  #addMinutes({ lines, sides }: BoxScore): void {
    for (const side of [Side.HOME, Side.AWAY]) {
      const minutes = [...lines]
        .filter(([id, line]) => sides.get(id) === side && line.playedDs > 0)
        .map(([, line]) => line.playedDs / 600)
        .sort((a, b) => b - a);
      this.#teamGames++;
      this.#count("players", true, minutes.length);
      minutes.slice(0, RANKS).forEach((value, rank) => {
        this.#minutes[rank] = (this.#minutes[rank] ?? 0) + value;
      });
    }
  }

  #count(name: string, when = true, by = 1): void {
    if (when) this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }

  finish(): Profile {
    const a = (name: string): number => (this.#counts.get(name) ?? 0) / this.#games;
    const margins = this.#margins;
    const share = (when: (margin: number) => boolean): number =>
      margins.filter(when).length / this.#games;
    const shots = [...this.#zones.values()].reduce((sum, { attempts }) => sum + attempts, 0);
    return {
      games: this.#games,
      playsMean: this.#plays / this.#games,
      pointsMean: mean(this.#totals),
      pointsSd: deviation(this.#totals),
      pointsDeciles: deciles(this.#totals),
      marginDeciles: deciles(margins),
      homeMarginMean: mean(margins),
      marginSd: deviation(margins),
      absMarginMean: mean(margins.map(Math.abs)),
      homeWinShare: share((margin) => margin > 0),
      overtimeShare: a("overtime"),
      closeShare: share((margin) => Math.abs(margin) <= CLOSE_MARGIN),
      blowoutShare: share((margin) => Math.abs(margin) >= BLOWOUT_MARGIN),
      comebackShare: a("comeback"),
      leadChangesMean: mean(this.#leadChanges),
      leadChangesSd: deviation(this.#leadChanges),
      turnoversMean: a("turnovers"),
      stealsMean: a("steals"),
      blocksMean: a("blocks"),
      offensiveReboundsMean: a("offensive"),
      offensiveReboundShare: a("offensive") / (a("offensive") + a("defensive")),
      teamReboundsMean: a("teamRebounds"),
      foulsMean: a("fouls"),
      shootingFoulsMean: a("shooting"),
      offensiveFoulsMean: a("offensiveFouls"),
      technicalsMean: a("technicals"),
      freeThrowsMean: a("freeThrows"),
      freeThrowRate: a("freeThrowsMade") / a("freeThrows"),
      substitutionsMean: a("substitutions"),
      timeoutsMean: a("timeouts"),
      shotsMean: shots / this.#games,
      zones: Object.fromEntries(
        ZONES.map((zone) => [zone, zoneShares(this.#zones.get(zone), shots)]),
      ) as Profile["zones"],
      minutesByRank: this.#minutes.map((sum) => sum / this.#teamGames),
      playersMean: (this.#counts.get("players") ?? 0) / this.#teamGames,
      teamMarginSd: deviation([...this.#teams.values()].map(mean)),
    };
  }
}

const ZONES: readonly ProfileZone[] = ["rim", "paint", "mid", "corner", "top", "heave"];

function zoneShares(
  counts: Counts = { attempts: 0, made: 0, assisted: 0 },
  shots: number,
): Profile["zones"]["rim"] {
  const { attempts, made, assisted } = counts;
  return {
    share: attempts / shots,
    makeRate: made / Math.max(1, attempts),
    assisted: assisted / Math.max(1, made),
  };
}

function zoneOf(play: PlayEvent): ProfileZone {
  const distance = play.shotDistanceFt ?? Math.hypot(play.shotXFt ?? 0, play.shotYFt ?? 0);
  if (play.shotValue === 3) {
    if (distance >= HEAVE_MIN_FT) return "heave";
    return (play.shotYFt ?? CORNER_MAX_Y_FT) < CORNER_MAX_Y_FT ? "corner" : "top";
  }
  if (distance < RIM_MAX_FT) return "rim";
  return distance < PAINT_MAX_FT ? "paint" : "mid";
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function deciles(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from({ length: 9 }, (_, at) => {
    return sorted[Math.floor(((at + 1) * sorted.length) / 10)] ?? 0;
  });
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
