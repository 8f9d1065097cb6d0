import { type Dataset } from "./dataset.ts";

/** The games that fit, as a dataset of their own; the same one when all do. */
export function selected(data: Dataset, fits: (game: number) => boolean): Dataset {
  const games = data.gameIds.map((_, game) => game).filter(fits);
  if (games.length === data.games) return data;
  const rows = new Uint32Array(data.rows);
  const gameStarts: number[] = [];
  let count = 0;
  for (const game of games) {
    gameStarts.push(count);
    const end = data.gameStarts[game + 1] ?? data.rows;
    for (let i = data.gameStarts[game] ?? 0; i < end; i += 1) rows[count++] = i;
  }
  const kept = rows.subarray(0, count);
  const values = new Float32Array(count * data.features);
  for (const [row, i] of kept.entries()) {
    const from = i * data.features;
    values.set(data.values.subarray(from, from + data.features), row * data.features);
  }
  const newGame = new Map(games.map((game, index) => [game, index]));
  return {
    ...data,
    games: games.length,
    rows: count,
    values,
    homeWon: Uint8Array.from(kept, (i) => data.homeWon[i] as number),
    margin: Int16Array.from(kept, (i) => data.margin[i] as number),
    homeScore: Int16Array.from(kept, (i) => data.homeScore[i] as number),
    period: Uint8Array.from(kept, (i) => data.period[i] as number),
    clockRemainingS: Float32Array.from(kept, (i) => data.clockRemainingS[i] as number),
    gameOver: Uint8Array.from(kept, (i) => data.gameOver[i] as number),
    homeRun: Uint8Array.from(kept, (i) => data.homeRun[i] as number),
    awayRun: Uint8Array.from(kept, (i) => data.awayRun[i] as number),
    game: Uint32Array.from(kept, (i) => newGame.get(data.game[i] as number) as number),
    gameIds: games.map((game) => data.gameIds[game] as string),
    gameNames: games.map((game) => data.gameNames[game] as (typeof data.gameNames)[number]),
    gameSeasons: games.map((game) => data.gameSeasons[game] as number),
    gameStarts: [...gameStarts, count],
  };
}
