import { type DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { gameStartsAndEnds, runsOfGame } from "../annotations.ts";
import {
  board,
  HALF,
  link,
  QUARTER,
  stat,
  table,
  timeSeries,
  trend,
  variable,
  WHOLE,
} from "../panels.ts";

const GAME = "game_id = '${game}'";
const LAST = `SELECT * FROM courtside.predictions_current WHERE ${GAME} ORDER BY play_number DESC LIMIT 1`;

/** One game: the curve, its plays, its players. */
export function gameBoard(): DashboardBuilder {
  return board({
    uid: "courtside-game",
    title: "Courtside · Game",
    description: "One game, play by play: who will win, why it moved, who is tired.",
    from: "now-3h",
    refresh: "1s",
    page: "#/game/${game}",
  })
    .withVariable(
      variable(
        "game",
        "Game",
        "SELECT game_id FROM courtside.predictions GROUP BY game_id ORDER BY max(ingest_time) DESC, game_id LIMIT 200",
      ),
    )
    .annotation(runsOfGame())
    .annotation(gameStartsAndEnds("p.game_id = '${game}'"))
    .withPanel(
      stat({
        title: "Score",
        description: "Away and home points after the last play.",
        sql: `SELECT p.away_score AS away, p.home_score AS home FROM (${LAST}) AS p`,
      }),
    )
    .withPanel(
      stat({
        title: "Home wins",
        description: "Win probability of the home team after the last play.",
        unit: "percentunit",
        min: 0,
        max: 1,
        sql: `SELECT home_win_prob FROM (${LAST})`,
      }),
    )
    .withPanel(
      stat({
        title: "Clock",
        description: "Period, and seconds left in it.",
        unit: "none",
        sql: `SELECT period, clock_remaining_s AS seconds_left FROM (${LAST})`,
      }),
    )
    .withPanel(
      stat({
        title: "Excitement",
        description: "Sum of all changes of the win probability: 3 is quiet, 8 is wild.",
        decimals: 1,
        sql: `SELECT sum(abs(change)) AS excitement FROM (
  SELECT home_win_prob - lagInFrame(home_win_prob, 1, home_win_prob) OVER (ORDER BY play_number
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change
  FROM courtside.predictions_current WHERE ${GAME})`,
      }),
    )
    .withPanel(
      timeSeries({
        title: "Win probability of the home team",
        description:
          "One point a play, at the time when it was published. Runs and the game itself are annotated.",
        span: WHOLE,
        height: 10,
        unit: "percentunit",
        min: 0,
        max: 1,
        sql: `SELECT ingest_time AS time, home_win_prob FROM courtside.predictions_current
WHERE ${GAME} AND $__timeFilter_ms(ingest_time) ORDER BY time`,
      }).dataLinks([link("Open on the page", "${page}/#/game/${game}")]),
    )
    .withPanel(swings())
    .withPanel(lastPlays())
    .withPanel(
      trend({
        title: "Pace over five game minutes",
        description: "Possessions per 48 minutes, by game time in minutes.",
        x: "minute",
        sql: windowSql("pace"),
      }),
    )
    .withPanel(
      trend({
        title: "Effective field-goal percentage over five game minutes",
        description: "A three counts one and a half.",
        unit: "percentunit",
        x: "minute",
        sql: windowSql("effective_fg"),
      }),
    )
    .withPanel(boxScore());
}

function windowSql(column: string): string {
  return `SELECT end_s / 60 AS minute, maxIf(${column}, side = 'home') AS home, maxIf(${column}, side = 'away') AS away
FROM courtside.team_windows_current WHERE ${GAME} AND size_s = 300 GROUP BY end_s ORDER BY minute`;
}

function swings(): ReturnType<typeof table> {
  return table({
    title: "Biggest swings",
    description: "Plays that moved the win probability most; a row opens that moment on the page.",
    span: HALF,
    sql: `SELECT c.play_number AS play, c.period AS period, p.description AS description,
  c.home_win_prob AS home_win_prob, c.change AS change
FROM (
  SELECT play_number, period, home_win_prob,
    home_win_prob - lagInFrame(home_win_prob, 1, home_win_prob) OVER (ORDER BY play_number
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change
  FROM courtside.predictions_current WHERE ${GAME}
) AS c
INNER JOIN (SELECT play_number, description FROM courtside.plays_current WHERE ${GAME}) AS p ON p.play_number = c.play_number
ORDER BY abs(c.change) DESC LIMIT 10`,
  }).dataLinks([link("Open this play", "${page}/#/game/${game}/play/${__data.fields.play}")]);
}

function lastPlays(): ReturnType<typeof table> {
  return table({
    title: "Last plays",
    description: "Newest first.",
    span: HALF,
    sql: `SELECT play_number AS play, period, clock_remaining_ds / 10 AS clock_s, away_score, home_score, description
FROM courtside.plays_current WHERE ${GAME} ORDER BY play_number DESC LIMIT 50`,
  }).dataLinks([link("Open this play", "${page}/#/game/${game}/play/${__data.fields.play}")]);
}

function boxScore(): ReturnType<typeof table> {
  return table({
    title: "Box score and load",
    description:
      "Last line of every player. Minutes are game minutes; the last 12 show who is tired.",
    span: WHOLE,
    height: 4 + QUARTER,
    sql: `SELECT side, player_name, on_court, round(played_s / 60, 1) AS minutes, points,
  offensive_rebounds + defensive_rebounds AS rebounds, assists, turnovers, personal_fouls, plus_minus,
  round(stint_s / 60, 1) AS stint_min, round(played_last_12_min_s / 60, 1) AS of_last_12_min
FROM courtside.player_stats_current WHERE ${GAME} ORDER BY side, minutes DESC`,
  });
}
