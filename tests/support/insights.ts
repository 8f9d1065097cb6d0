import { create, toBinary } from "@bufbuild/protobuf";
import { keyGroupOf } from "../../base/key-group.ts";
import { seededRandom } from "../../base/random.ts";
import {
  type BoxUpdate,
  BoxUpdateSchema,
  GameResultSchema,
  GameStateSchema,
  type Insight,
  InsightSchema,
  PlayerLoadSchema,
  type PlayInsight,
  PlayInsightSchema,
  PredictionSchema,
  TeamWindowSchema,
  type TrailingWindow,
  TrailingWindowSchema,
} from "../../proto/gen/courtside/v1/insight_pb.ts";
import {
  GameInfoSchema,
  League,
  PlayEventSchema,
  PlayKind,
  SeasonType,
  Side,
} from "../../proto/gen/courtside/v1/play_pb.ts";

export const HOME_ID = 1_610_612_738;
export const AWAY_ID = 1_610_612_752;

/** Gives insights of one game their positions, as the insight job would: one input message each. */
export class InsightBuilder {
  readonly gameId: string;
  readonly keyGroup: number;
  readonly home: string;
  readonly away: string;
  epoch = 1n;
  #inputSequence: bigint;

  constructor(gameId: string, home = "BOS", away = "NYK", firstInput = 1n) {
    this.gameId = gameId;
    this.keyGroup = keyGroupOf(gameId);
    this.home = home;
    this.away = away;
    this.#inputSequence = firstInput;
  }

  /** Wraps a body with the next position. */
  wrap(body: Insight["body"], at?: { inputSequence: bigint; index: number }): Insight {
    const { inputSequence, index } = at ?? { inputSequence: this.#inputSequence++, index: 0 };
    const { epoch, gameId, keyGroup } = this;
    const position = { job: "insight", stage: "main", keyGroup, inputSequence, index, epoch };
    return create(InsightSchema, { position, gameId, body });
  }

  info(overrides: { readonly venue?: string } = {}): Insight {
    const value = create(GameInfoSchema, {
      gameId: this.gameId,
      league: League.SYNTHETIC,
      season: 2024,
      seasonType: SeasonType.REGULAR,
      gameDate: "2024-11-23",
      tipoffTimeMs: 1_732_400_000_000n,
      home: { teamId: HOME_ID, tricode: this.home, name: TEAM_NAMES[this.home] ?? this.home },
      away: { teamId: AWAY_ID, tricode: this.away, name: TEAM_NAMES[this.away] ?? this.away },
      venue: "North Hall",
      homeElo: 1588,
      awayElo: 1534,
      homePregameWinProb: 0.64,
      roster: [HOME_ID, AWAY_ID].flatMap((teamId) =>
        Array.from({ length: 9 }, (_, index) => ({
          playerId: playerId(teamId, index),
          name: playerName(teamId, index),
          teamId,
          starter: index < 5,
        })),
      ),
      ...overrides,
    });
    return this.wrap({ case: "gameInfo", value });
  }

  play(facts: PlayFacts): Insight {
    return this.wrap({ case: "play", value: playInsight(this, facts) });
  }

  box(players: readonly LineFacts[]): Insight {
    return this.wrap({ case: "box", value: boxUpdate(this.gameId, players) });
  }

  /** A fired window of the home team over the last `sizeS` seconds before `endS`. */
  window(sizeS: number, endS: number, points: number): Insight {
    const value = create(TeamWindowSchema, {
      gameId: this.gameId,
      teamId: HOME_ID,
      side: Side.HOME,
      startS: BigInt(endS - sizeS),
      endS: BigInt(endS),
      sizeS,
      totals: {
        points,
        fieldGoalsMade: 4,
        fieldGoalsAttempted: 8,
        threesMade: 1,
        possessions: 9.4,
      },
    });
    return this.wrap({ case: "teamWindow", value });
  }

  result(homeScore: number, awayScore: number, homeWinProb: number): Insight {
    const value = create(GameResultSchema, {
      gameId: this.gameId,
      homeScore,
      awayScore,
      periods: 4,
      plays: 480,
      homeEloBefore: 1588,
      awayEloBefore: 1534,
      homeEloAfter: 1596.5,
      awayEloAfter: 1525.5,
      homeWinProb,
    });
    return this.wrap({ case: "result", value });
  }
}

export interface PlayFacts {
  readonly number: number;
  readonly period: number;
  readonly clockS: number;
  readonly homeScore: number;
  readonly awayScore: number;
  readonly homeWinProb?: number;
  readonly text?: string;
  readonly side?: Side;
  readonly kind?: PlayKind;
  readonly revision?: number;
  readonly retracted?: boolean;
  readonly shotValue?: number;
  readonly possession?: Side;
  readonly run?: number;
  readonly gameOver?: boolean;
}

export interface LineFacts {
  readonly teamId: number;
  readonly index: number;
  readonly name?: string;
  readonly points: number;
  readonly playedS: number;
  readonly stintS?: number;
  readonly onCourt?: boolean;
  readonly fouls?: number;
  readonly made?: number;
  readonly tried?: number;
}

export function insightBytes(insight: Insight): Uint8Array {
  return toBinary(InsightSchema, insight);
}

export function playerId(teamId: number, index: number): number {
  return (teamId - 1_610_612_000) * 100 + index;
}

/** A whole made-up game of about 450 plays, ending in a result; the same seed gives the same game. */
export function* scriptedGame(builder: InsightBuilder, seed: number): Generator<Insight> {
  const random = seededRandom(seed);
  const edge = random.normal(0, 0.06);
  let [homeScore, awayScore, number, run] = [0, 0, 0, 0];
  const lines = [HOME_ID, AWAY_ID].flatMap((teamId) =>
    Array.from({ length: 9 }, (_, index) => ({ teamId, index, points: 0, made: 0, tried: 0 })),
  );
  yield builder.info();
  for (let period = 1; period <= 4; period += 1) {
    for (let clockS = 720 - 7; clockS > 0; clockS -= 9 + random.int(9)) {
      number += 1;
      const isHome = random.next() < 0.5;
      const side = isHome ? Side.HOME : Side.AWAY;
      const isMade = random.next() < 0.48 + (isHome ? edge : -edge);
      const shotValue = random.next() < 0.35 ? 3 : 2;
      const line = lines[(isHome ? 0 : 9) + random.int(9)];
      if (line === undefined) return;
      line.tried += 1;
      if (isMade) {
        line.points += shotValue;
        line.made += 1;
        if (isHome) homeScore += shotValue;
        else awayScore += shotValue;
        run = isHome ? Math.max(0, run) + shotValue : Math.min(0, run) - shotValue;
      }
      const leftS = (4 - period) * 720 + clockS;
      const z = (homeScore - awayScore) / (0.28 * Math.sqrt(leftS + 4)) + (0.5 * leftS) / 2880;
      const homeWinProb = 1 / (1 + Math.exp(-z));
      const text = `${playerName(line.teamId, line.index)} ${String(shotValue)}-pt jump shot: ${isMade ? "Made" : "Missed"}`;
      const play = { number, period, clockS, homeScore, awayScore, homeWinProb, text, side, run };
      yield builder.play({
        ...play,
        shotValue: isMade ? shotValue : 0,
        possession: isHome ? Side.AWAY : Side.HOME,
      });
      const playedS = (2880 - leftS) * (line.index < 5 ? 0.74 : 0.33);
      const onCourt = (line.index + Math.floor(leftS / 400)) % 9 < 5;
      yield builder.box([{ ...line, playedS, onCourt, stintS: leftS % 560, fouls: number % 5 }]);
    }
  }
  if (homeScore === awayScore) homeScore += 1;
  yield builder.result(homeScore, awayScore, homeScore > awayScore ? 0.999 : 0.001);
}

const TEAM_NAMES: Readonly<Record<string, string>> = {
  BOS: "Boston Celtics",
  NYK: "New York Knicks",
  DEN: "Denver Nuggets",
  LAL: "Los Angeles Lakers",
  MIA: "Miami Heat",
  ORL: "Orlando Magic",
};

const SURNAMES = "Abbott Brandt Castle Dray Ellison Farrow Grant Hollis Irving".split(" ");

function playerName(teamId: number, index: number): string {
  const initial = teamId === HOME_ID ? "J." : "K.";
  return `${initial} ${SURNAMES[index] ?? "Zed"}`;
}

function playInsight(game: InsightBuilder, facts: PlayFacts): PlayInsight {
  const { number: playNumber, revision = 1, homeScore, awayScore, period, clockS } = facts;
  const { side = Side.HOME, shotValue = 0, homeWinProb, gameOver = false } = facts;
  const id = { gameId: game.gameId, playNumber, revision };
  const score = { homeScore, awayScore, period };
  const prediction =
    homeWinProb === undefined
      ? {}
      : {
          prediction: create(PredictionSchema, {
            ...id,
            homeWinProb,
            homeWinProbLow: Math.max(0, homeWinProb - 0.05),
            homeWinProbHigh: Math.min(1, homeWinProb + 0.05),
            modelName: "test",
            modelVersion: "1",
          }),
        };
  return create(PlayInsightSchema, {
    play: create(PlayEventSchema, {
      ...id,
      ...score,
      league: League.SYNTHETIC,
      clockRemainingDs: Math.round(clockS * 10),
      ingestTimeMs: BigInt(Date.now()),
      kind: facts.kind ?? PlayKind.SHOT,
      side,
      shotMade: shotValue > 0,
      shotValue,
      retracted: facts.retracted ?? false,
      description: facts.text ?? `Play ${String(playNumber)}`,
      gameOver,
    }),
    state: create(GameStateSchema, {
      ...score,
      gameId: game.gameId,
      homeTeam: game.home,
      awayTeam: game.away,
      clockRemainingS: clockS,
      possession: facts.possession ?? Side.NONE,
      homeTeamFouls: 3,
      awayTeamFouls: 5,
      homeInBonus: true,
      awayInBonus: false,
      homeTimeoutsRemaining: 4,
      awayTimeoutsRemaining: 6,
      currentRun: facts.run ?? 0,
      leadChanges: 7,
      gameOver,
      homeLast2Min: trailing(7, 3, 6),
      awayLast2Min: trailing(4, 2, 5),
      homeLast5Min: trailing(15, 6, 12),
      awayLast5Min: trailing(11, 4, 11),
      homeLast10Min: trailing(27, 11, 22),
      awayLast10Min: trailing(22, 9, 23),
    }),
    ...prediction,
  });
}

function trailing(points: number, made: number, tried: number): TrailingWindow {
  return create(TrailingWindowSchema, {
    points,
    fieldGoalsMade: made,
    fieldGoalsAttempted: tried,
    threesMade: 1,
    freeThrowsMade: 1,
    freeThrowsAttempted: 2,
    turnovers: 1,
    possessions: tried + 1.5,
  });
}

function boxUpdate(gameId: string, players: readonly LineFacts[]): BoxUpdate {
  return create(BoxUpdateSchema, {
    players: players.map((line) =>
      create(PlayerLoadSchema, {
        gameId,
        playerId: playerId(line.teamId, line.index),
        playerName: line.name ?? playerName(line.teamId, line.index),
        teamId: line.teamId,
        side: line.teamId === HOME_ID ? Side.HOME : Side.AWAY,
        onCourt: line.onCourt ?? false,
        playedS: line.playedS,
        stintS: line.stintS ?? 0,
        stintMaxS: line.stintS ?? 0,
        restS: line.onCourt === true ? 0 : 90,
        playedLast12MinS: Math.min(720, line.playedS * 0.4),
        points: line.points,
        fieldGoalsMade: line.made ?? 0,
        fieldGoalsAttempted: line.tried ?? 0,
        assists: 2,
        defensiveRebounds: 3,
        personalFouls: line.fouls ?? 0,
        plusMinus: 4,
        usage: 0.22,
        trueShooting: 0.56,
      }),
    ),
  });
}
