import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type PlayRow } from "./wire.ts";
import { readAddress } from "./page/address.ts";
import {
  contrast,
  MIN_CONTRAST,
  MIN_DISTANCE,
  seenDistance,
  SURFACES,
  teamColours,
} from "./page/colours.ts";
import { marksOf } from "./page/marks.ts";
import { loadPage } from "./static.ts";
import { parseMetrics } from "./views/pipeline.ts";

/** First view, gzipped: what a phone on a bad line still loads in a second. */
const MAX_FIRST_VIEW_BYTES = 100_000;

const TEAMS =
  "ATL BOS BKN CHA CHI CLE DAL DEN DET GSW HOU IND LAC LAL MEM MIA MIL MIN NOP NYK OKC ORL PHI PHX POR SAC SAS TOR UTA WAS HRB".split(
    " ",
  );

test("the colours of any two teams can be read and told apart in both themes, whatever one's eyes", () => {
  for (const theme of ["light", "dark"] as const)
    for (const home of TEAMS)
      for (const away of TEAMS) {
        if (home === away) continue;
        const colours = teamColours(home, away, theme);
        const pair = `${away} at ${home} in ${theme}: ${JSON.stringify(colours)}`;
        expect(contrast(colours.home, SURFACES[theme]), pair).toBeGreaterThanOrEqual(MIN_CONTRAST);
        expect(contrast(colours.away, SURFACES[theme]), pair).toBeGreaterThanOrEqual(MIN_CONTRAST);
        expect(seenDistance(colours.home, colours.away), pair).toBeGreaterThanOrEqual(MIN_DISTANCE);
      }
});

test("red and green of the same lightness are one colour to many, black and white to nobody", () => {
  expect(seenDistance("#b05a5a", "#7d7d3c")).toBeLessThan(MIN_DISTANCE);
  expect(seenDistance("#000000", "#ffffff")).toBeGreaterThan(0.9);
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
});

function play(facts: Partial<PlayRow>): PlayRow {
  const none = { number: 1, revision: 1, retracted: false, period: 1, clockS: 0, elapsedS: 0 };
  const more = { homeScore: 0, awayScore: 0, kind: "shot", side: null, text: "", points: 0 };
  const rest = { homeWinProb: 0.5, low: null, high: null, ingestTimeMs: 0, actorId: 0 };
  return { ...none, ...more, ...rest, shot: null, run: 0, possession: null, ...facts };
}

test("marks are runs from their first to their last point, time-outs, lead changes and corrected plays", () => {
  const marks = marksOf([
    play({ elapsedS: 10, homeScore: 2, run: 2 }),
    play({ elapsedS: 20, homeScore: 5, run: 5 }),
    play({ elapsedS: 25, homeScore: 5, run: 5, kind: "timeout", side: "away" }),
    play({ elapsedS: 30, homeScore: 8, run: 8 }),
    play({ elapsedS: 40, homeScore: 8, run: 8, revision: 2 }),
    play({ elapsedS: 50, homeScore: 8, awayScore: 3, run: -3 }),
    play({ elapsedS: 60, homeScore: 8, awayScore: 9, run: -9 }),
  ]);
  expect(marks).toEqual([
    { kind: "timeout", side: "away", elapsedS: 25 },
    { kind: "revised", side: "home", elapsedS: 40, homeWinProb: 0.5 },
    { kind: "run", side: "home", points: 8, fromS: 10, elapsedS: 30 },
    { kind: "lead", side: "away", elapsedS: 60 },
    { kind: "run", side: "away", points: 9, fromS: 50, elapsedS: 60 },
  ]);
});

test("addresses lead to views, and nonsense to tonight's games", () => {
  expect(readAddress("#/game/0022300001/play/12")).toEqual({
    view: "game",
    id: "0022300001",
    play: 12,
  });
  expect(readAddress("#/game/a%2Fb")).toEqual({ view: "game", id: "a/b", play: 0 });
  expect(readAddress("#/game/x/play/-3")).toEqual({ view: "game", id: "x", play: 0 });
  expect(readAddress("#/traces/0022300001")).toEqual({ view: "traces", game: "0022300001" });
  for (const hash of ["", "#", "#/", "#/nothing", "#/game/", "#/%E0%A4%A"])
    expect(readAddress(hash)).toEqual({ view: "tonight" });
});

test("the whole page is small, and asks for nothing elsewhere", async () => {
  const files = await loadPage();
  let bytes = 0;
  for (const [name, { bytes: body }] of files) {
    if (name !== "/index.html") bytes += gzipSync(body).length;
    // Links to the outside are made from what the page server says; addresses in code would be requests.
    const hosts = [...body.toString().matchAll(/https?:\/\/([\w.-]+)/gu)].map(([, host]) => host);
    expect(
      hosts.filter((host) => host !== "www.w3.org"),
      name,
    ).toEqual([]);
  }
  expect(bytes).toBeLessThan(MAX_FIRST_VIEW_BYTES);
});

test("metrics are read from Prometheus' text, odd lines are left out", () => {
  const text = `# HELP a b\n# TYPE a counter\na_total{le="+Inf",name="x \\"y\\""} 12\nb 1.5e3 1700000000\nnonsense\nc NaN\n`;
  expect(parseMetrics(text)).toEqual([
    { name: "a_total", labels: { le: "+Inf", name: 'x "y"' }, value: 12 },
    { name: "b", labels: {}, value: 1500 },
  ]);
});
