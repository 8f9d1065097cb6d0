import { expect, test } from "vitest";
import { pregameForms, type RatedGame } from "./ratings.ts";

const [HERONS, FOXES, OWLS] = [1, 2, 3];

function game(id: string, date: string, home: number, away: number, margin: number): RatedGame {
  const season = Number(date.slice(0, 4));
  const score = { homeScore: 100 + margin, awayScore: 100 };
  return { gameId: id, date, season, neutralSite: false, homeId: home, awayId: away, ...score };
}

test("a game is rated by earlier days only, in whatever order the results come", () => {
  const games = [
    game("c", "2031-11-05", HERONS, FOXES, -3),
    game("b", "2031-11-02", FOXES, OWLS, 20),
    game("a", "2031-11-01", HERONS, OWLS, 10),
  ];
  const forms = pregameForms(games);
  expect(forms.get("a")?.get(HERONS)).toEqual({ elo: 1500 });
  expect(forms.get("b")?.get(OWLS)?.elo).toBeLessThan(1500);
  expect(forms.get("b")?.get(OWLS)?.restDays).toBe(1);
  expect(forms.get("c")?.get(HERONS)).toMatchObject({ restDays: 4 });
  const other = pregameForms(games.toReversed());
  for (const [id, form] of forms) expect(other.get(id)).toEqual(form);
  // The result of a game changes nothing before it.
  const lost = pregameForms(games.with(0, game("c", "2031-11-05", HERONS, FOXES, 40)));
  expect(lost.get("c")).toEqual(forms.get("c"));
});

test("games of the same day do not know of each other", () => {
  const forms = pregameForms([
    game("a", "2031-11-01", HERONS, OWLS, 30),
    game("b", "2031-11-01", HERONS, FOXES, 30),
  ]);
  expect(forms.get("b")?.get(HERONS)).toEqual({ elo: 1500 });
});

test("over the summer a rating goes back towards the average and rest is forgotten", () => {
  const forms = pregameForms([
    game("a", "2031-11-01", HERONS, OWLS, 30),
    game("b", "2031-11-03", HERONS, FOXES, 1),
    game("c", "2032-11-03", HERONS, FOXES, 1),
  ]);
  const before = forms.get("b")?.get(HERONS)?.elo ?? 0;
  const after = forms.get("c")?.get(HERONS);
  expect(before).toBeGreaterThan(1505);
  expect(after?.elo).toBeLessThan(before);
  expect(after?.elo).toBeGreaterThan(1505);
  expect(after?.restDays).toBeUndefined();
});
