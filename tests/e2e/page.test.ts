import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ClickHouseClient } from "@clickhouse/client";
import { type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { Cluster } from "../chaos/cluster.ts";
import { Service } from "../chaos/service.ts";
import { complaintsOf, hasChromium, launchBrowser } from "../support/browser.ts";
import { NBA, ROOT } from "../support/courtside.ts";
import { freePorts } from "../support/ports.ts";

/** Every view in a real browser over recorded games (generated ones where there are none), against the tables. */

const SEASON = join(NBA, "pbp/v3_2023-24_regular.csv.gz");
const SOURCE = existsSync(SEASON) ? SEASON : "synthetic";
const MAIN = join(ROOT, "cli/main.ts");
const GAMES = 4;
/** A broken worker's games are taken over after so long. */
const LEASE_MS = 2_000;
const SLOW = { timeout: 20_000 };

describe.skipIf(!hasChromium)("the page over a real pipeline", { timeout: 90_000 }, () => {
  let cluster: Cluster;
  let dashboard: Service;
  let client: ClickHouseClient;
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  let url = "";
  let game = "";

  beforeAll(async () => {
    cluster = await Cluster.start({ workers: 1, regions: 2, leaseMs: LEASE_MS });
    const [port = 0] = await freePorts(1);
    url = `http://127.0.0.1:${String(port)}/`;
    const args = [`--port=${String(port)}`, `--nats-url=${cluster.natsUrl}`];
    args.push(`--clickhouse-url=${cluster.clickhouseUrl}`, `--serving-url=${cluster.servingUrl}`);
    dashboard = new Service(
      { name: "dashboard", program: process.execPath, args: [MAIN, "dashboard", ...args] },
      cluster.folder,
    );
    await dashboard.start();
    const flags = [`--source=${SOURCE}`, `--games=${String(GAMES)}`, "--speed=max"];
    await cluster.replay([
      ...flags,
      "--trace-rate=0.5",
      `--clickhouse-url=${cluster.clickhouseUrl}`,
    ]);
    client = await openClickHouse(cluster.clickhouseUrl, { readOnly: true });
    const results = "SELECT count() AS n FROM courtside.game_results_current";
    while ((await one(results)) !== GAMES) await delay(100);
    game = String(await one("SELECT min(game_id) AS id FROM courtside.games"));
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
    complaints = complaintsOf(page);
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await client?.close();
    await dashboard?.stop();
    await cluster?.stop();
  }, 30_000);

  async function rows<Row>(query: string): Promise<Row[]> {
    const result = await client.query({
      query,
      format: "JSONEachRow",
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    });
    return result.json<Row>();
  }

  async function one(query: string): Promise<unknown> {
    return Object.values((await rows<Record<string, unknown>>(query))[0] ?? {})[0];
  }

  async function open(hash: string): Promise<void> {
    await page.goto(url + hash);
  }

  const text = async (selector: string): Promise<string> =>
    (await page.locator(selector).first().textContent(SLOW)) ?? "";
  const attribute = async (selector: string, name: string): Promise<string> =>
    (await page.locator(selector).first().getAttribute(name, SLOW)) ?? "";

  test("the cards tell the scores, and how exciting the games were, as the tables do", async () => {
    await open("");
    await expect.poll(() => page.locator("#game-list .card").count(), SLOW).toBe(GAMES);
    const wanted = await rows<{ id: string; home: number; away: number; excitement: number }>(`
      SELECT p.game_id AS id, any(r.home_score) AS home, any(r.away_score) AS away, sum(abs(change)) AS excitement FROM (
        SELECT game_id, home_win_prob - lagInFrame(home_win_prob, 1, home_win_prob) OVER (PARTITION BY game_id ORDER BY play_number
          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change FROM courtside.predictions_current) AS p
      INNER JOIN courtside.game_results_current AS r ON r.game_id = p.game_id GROUP BY p.game_id`);
    for (const { id, home, away, excitement } of wanted) {
      const card = `[data-game="${id}"]`;
      expect(await text(`${card} .card-team.home .card-score`)).toBe(String(home));
      expect(await text(`${card} .card-team.away .card-score`)).toBe(String(away));
      // The page rounds probabilities to four decimals, five hundred times.
      const shown = Number(await text(`${card} .meter:nth-child(2) b`));
      expect(Math.abs(shown - excitement)).toBeLessThan(0.12);
      expect(await text(`${card} .card-stand`)).toMatch(/^Final/u);
    }
  });

  test("the game view has the box score, the shots, the windows and the swings of the tables", async () => {
    await open(`#/game/${game}`);
    await expect.poll(() => page.locator(".box-table tbody tr").count(), SLOW).toBeGreaterThan(15);
    const players = await rows<{ id: number; points: number; fouls: number; plus: number }>(`
      SELECT player_id AS id, points, personal_fouls AS fouls, plus_minus AS plus
      FROM courtside.player_stats_current WHERE game_id = '${game}'`);
    expect(players.length).toBeGreaterThan(15);
    for (const { id, points, fouls, plus } of players) {
      const cells = await page.locator(`tr[data-player="${String(id)}"] td`).allTextContents();
      expect([cells[1], cells[8]]).toEqual([String(points), String(fouls)]);
      expect(cells[12]).toBe(
        plus === 0 ? "0" : plus > 0 ? `+${String(plus)}` : `−${String(-plus)}`,
      );
    }
    const shots = await one(`SELECT count() AS n FROM courtside.plays_current
      WHERE game_id = '${game}' AND kind = 'shot' AND shot_x_ft IS NOT NULL AND shot_y_ft IS NOT NULL AND side != 'none'`);
    expect(Number(await attribute("#court", "data-shots"))).toBe(shots);
    const predictions = await one(
      `SELECT count() AS n FROM courtside.predictions_current WHERE game_id = '${game}'`,
    );
    // One point more for the time before tip-off.
    expect(Number(await attribute("#chart", "data-points"))).toBe(Number(predictions) + 1);
    const [swing] = await rows<{ play: number }>(`SELECT play_number AS play FROM (
      SELECT play_number, home_win_prob - lagInFrame(home_win_prob, 1, home_win_prob) OVER (ORDER BY play_number
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change
      FROM courtside.predictions_current WHERE game_id = '${game}') ORDER BY abs(change) DESC LIMIT 1`);
    expect(await attribute("#swings li", "data-play")).toBe(String(swing?.play));
    const [pace] = await rows<{
      away: number;
    }>(`SELECT pace AS away FROM courtside.team_windows_current
      WHERE game_id = '${game}' AND size_s = 300 AND side = 'away' AND end_s <= 2880 + 300 * ((SELECT max(period) FROM courtside.plays_current WHERE game_id = '${game}') - 4) ORDER BY end_s DESC LIMIT 1`);
    expect(await text('[data-term="Pace"] b.away')).toMatch(
      new RegExp(` ${String(Math.round(pace?.away ?? -1))}$`, "u"),
    );
    await checkWinProbabilityAdded();
  });

  /** The sums of both sides and of nobody make the way from tip-off to the end. */
  async function checkWinProbabilityAdded(): Promise<void> {
    const added = async (side: string): Promise<number> => {
      const cells = page.locator(`.box-table.${side} td.wpa`);
      const values = await cells.evaluateAll((list) =>
        list.map((cell) => Number((cell as unknown as { dataset: { wpa: string } }).dataset.wpa)),
      );
      return values.reduce((sum, value) => sum + value, 0);
    };
    const way = await rows<{ way: number; nobody: number }>(`
      SELECT sum(change) AS way, sumIf(change, actor_id = 0 OR side = 'none') AS nobody FROM (
        SELECT c.change AS change, p.actor_id AS actor_id, p.side AS side FROM (
          SELECT play_number, home_win_prob - lagInFrame(home_win_prob, 1, assumeNotNull((SELECT toFloat64(home_pregame_win_prob) FROM courtside.games_current
            WHERE game_id = '${game}'))) OVER (ORDER BY play_number ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS change
          FROM courtside.predictions_current WHERE game_id = '${game}') AS c
        INNER JOIN courtside.plays_current AS p ON p.play_number = c.play_number WHERE p.game_id = '${game}')`);
    const players = (await added("home")) - (await added("away"));
    expect(players + (way[0]?.nobody ?? 9)).toBeCloseTo(way[0]?.way ?? -9, 2);
  }

  test("time travel shows a play as it was: state, inputs, prediction, contributions, box score and trace", async () => {
    const [past] = await rows<{
      play: number;
      prob: number;
      values: number[];
      trace: string;
      home: number;
      game: string;
    }>(`
      SELECT p.game_id AS game, p.play_number AS play, p.home_win_prob AS prob, f.values AS values, p.trace_id AS trace, p.home_score AS home
      FROM courtside.predictions_current AS p
      INNER JOIN courtside.features_current AS f ON f.game_id = p.game_id AND f.play_number = p.play_number
      WHERE p.trace_id != '' AND p.play_number BETWEEN 60 AND 400 ORDER BY game, play LIMIT 1`);
    if (past === undefined) throw new Error("no play was traced");
    await open(`#/game/${past.game}/play/${String(past.play)}`);
    await expect.poll(() => page.locator("#features dd").count(), SLOW).toBe(past.values.length);
    const shown = await page
      .locator("#features dd")
      .evaluateAll((list) =>
        list.map((cell) =>
          Number((cell as unknown as { dataset: { value: string } }).dataset.value),
        ),
      );
    shown.forEach((value, at) => expect(value).toBeCloseTo(past.values[at] ?? Number.NaN, 4));
    expect(await text(".moment .facts")).toContain(`${(past.prob * 100).toFixed(1)}%`);
    expect(await text(".team.home .score")).toBe(String(past.home));
    await expect.poll(() => page.locator("#contributions li").count()).toBeGreaterThan(2);
    const spans = await one(
      `SELECT count() AS n FROM courtside.otel_traces WHERE TraceId = '${past.trace}'`,
    );
    expect(await page.locator(".moment .waterfall li").count()).toBe(spans);
    const points =
      await one(`SELECT sum(points) AS n FROM (SELECT argMax(points, play_number) AS points
      FROM courtside.player_stats WHERE game_id = '${past.game}' AND side = 'home' AND play_number <= ${String(past.play)} GROUP BY player_id)`);
    expect(await text(".box-table.home tfoot td.total-points")).toBe(String(points));
    await page.locator("#chart").press("ArrowRight");
    await expect.poll(() => page.url()).not.toContain(`/play/${String(past.play)}`);
    await page.locator(".back-live").click();
    await expect.poll(() => page.url()).toMatch(new RegExp(`#/game/${past.game}$`, "u"));
  });

  test("what-if answers as the model does", async () => {
    await open(`#/game/${game}/play/200`);
    await page.locator('.questions[data-play="200"] li').first().waitFor(SLOW);
    const asked = await rows<{
      home: number;
      away: number;
    }>(`SELECT home_score AS home, away_score AS away
      FROM courtside.predictions_current WHERE game_id = '${game}' AND play_number = 200`);
    const shown = Number(await attribute(".questions li:nth-child(2)", "data-prob"));
    const moment = (await (await fetch(`${url}api/games/${game}/plays/200`)).json()) as {
      state: Record<string, unknown>;
    };
    const state = {
      ...moment.state,
      homeScore: (asked[0]?.home ?? 0) + 3,
      possession: "SIDE_AWAY",
    };
    const answer = await fetch(`${url}v1/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(state),
    });
    expect(shown).toBe(((await answer.json()) as { homeWinProb: number }).homeWinProb);
    await page.locator('.what-if-form input[name="home"]').fill("150");
    await page.locator(".what-if-form button").click();
    await expect.poll(() => text("#what-if-answer")).toMatch(/>99%|100%/u);
  });

  test("season, model, pipeline, traces and SQL say what the tables say", async () => {
    await open("#/season");
    const [truth] = await rows<{
      plays: number;
      brier: number;
    }>(`SELECT count() AS plays, avg(pow(p.home_win_prob - won, 2)) AS brier
      FROM courtside.predictions_current AS p INNER JOIN (SELECT game_id, home_score > away_score AS won
      FROM courtside.game_results_current) AS r ON r.game_id = p.game_id`);
    await expect
      .poll(() => attribute("#season-tiles .tile:nth-child(1) dd", "data-raw"), SLOW)
      .toBe(String(GAMES));
    expect(await attribute("#season-tiles .tile:nth-child(2) dd", "data-raw")).toBe(
      String(truth?.plays),
    );
    expect(Number(await attribute("#season-tiles .tile:nth-child(4) dd", "data-raw"))).toBeCloseTo(
      truth?.brier ?? -1,
      9,
    );
    expect(await page.locator(".results tbody tr").count()).toBe(GAMES);

    await open("#/model");
    const version = String(await one("SELECT any(model_version) AS v FROM courtside.predictions"));
    expect(Number(await attribute(`[data-version="${version}"] .brier`, "data-raw"))).toBeCloseTo(
      truth?.brier ?? -1,
      9,
    );
    await expect.poll(() => page.locator("#card table tbody tr").count()).toBeGreaterThan(5);
    expect(await page.locator(".bars tr").count()).toBeGreaterThan(5);

    await open("#/pipeline");
    await expect.poll(() => page.locator("#regions tbody tr").count(), SLOW).toBe(2);
    expect(await text('[data-stream="PLAYS"] td')).toMatch(/\d/u);
    expect(await text('[data-stage="publish to prediction"] td')).toBe(
      truth?.plays.toLocaleString("en"),
    );

    await open("#/traces");
    await expect.poll(() => page.locator("#traces tbody tr").count(), SLOW).toBeGreaterThan(20);
    const trace = await attribute("#traces tbody tr", "data-trace");
    const spans = await one(
      `SELECT count() AS n FROM courtside.otel_traces WHERE TraceId = '${trace}'`,
    );
    expect(await text("#traces tbody .spans")).toBe(String(spans));
    await page.locator("#traces tbody a").first().click();
    await expect.poll(() => page.locator(".waterfall li").count()).toBe(spans);

    await open("#/sql");
    await page.locator("#sql").fill("SELECT count() AS n FROM predictions_current");
    await page.locator("#sql").press("Control+Enter");
    await expect.poll(() => text("#sql-answer td"), SLOW).toBe(String(truth?.plays));
    await page.locator("#sql").fill("DROP TABLE courtside.plays");
    await page.locator('.sql-form button[type="submit"]').click();
    await expect.poll(() => text("#sql-problem")).toMatch(/DROP is not allowed/u);
    // The browser itself tells of the refusal.
    expect(complaints.filter((line) => !line.includes("400"))).toEqual([]);
  });

  test("axe finds nothing wrong with any view, in dark and light", async () => {
    const axe = await readFile(
      createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
      "utf8",
    );
    const views = [
      "",
      `#/game/${game}`,
      `#/game/${game}/play/150`,
      "#/season",
      "#/model",
      "#/pipeline",
      "#/traces",
      "#/sql",
    ];
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      for (const view of views) {
        await open(view);
        await page.locator("main table:visible, main .card, main textarea").first().waitFor(SLOW);
        const found = await page.evaluate<{ id: string; nodes: { html: string }[] }[]>(
          `${axe}; axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)`,
        );
        const said = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ""}`);
        expect(said, `${view} in ${scheme}`).toEqual([]);
      }
    }
  });

  test("job, broker and page server are killed in the middle: the page says so and goes on without reload, and nothing jumps", async () => {
    await open("");
    // Text that is replaced by longer text is no movement of anything; what moves is an element.
    await page.evaluate(
      `window.shifts = []; window.shifted = 0;
      new PerformanceObserver((list) => { for (const entry of list.getEntries()) {
        if (entry.hadRecentInput) continue;
        shifted += entry.value;
        shifts.push(...entry.sources.flatMap(({ node }) => node === null || node.nodeName === "#text" ? [] : [node.className || node.nodeName]));
      } }).observe({ type: "layout-shift", buffered: true });`,
    );
    const flags = ["--source=synthetic", "--games=2", "--concurrent=2", "--seed=9", "--speed=100"];
    const replay = new Service(
      {
        name: "replay",
        program: process.execPath,
        args: [MAIN, "replay", `--nats-url=${cluster.natsUrl}`, "--trace-rate=0", ...flags],
        isReady: async () => Promise.resolve(true),
      },
      cluster.folder,
    );
    await replay.start();
    await expect.poll(() => page.locator("#game-list .card").count(), SLOW).toBe(GAMES + 2);
    await page.locator('#game-list [data-game^="SYN"] a').first().click();
    const points = async (): Promise<number> => Number(await attribute("#chart", "data-points"));
    await expect.poll(points, SLOW).toBeGreaterThan(5);
    await page.evaluate("window.isSame = true; window.shifts = []; window.shifted = 0");
    const before = await points();
    await expect.poll(points, SLOW).toBeGreaterThan(before + 15);
    expect(await page.evaluate("window.shifts")).toEqual([]);
    expect(await page.evaluate<number>("window.shifted")).toBeLessThan(0.02);
    const goesOn = async (): Promise<void> => {
      await expect.poll(() => text("#connection"), SLOW).toBe("Live");
      expect(await page.locator("#banner").isHidden()).toBe(true);
      const now = await points();
      await expect.poll(points, SLOW).toBeGreaterThan(now + 2);
    };

    cluster.workers[0]?.signal("SIGSTOP");
    await expect
      .poll(() => text("#banner"), SLOW)
      .toMatch(/insight job does not answer; \d+ plays wait/u);
    expect(await text("#connection")).toBe("Stale");
    await cluster.workers[0]?.end("SIGKILL");
    await goesOn();

    cluster.nats.signal("SIGSTOP");
    await expect.poll(() => text("#banner"), SLOW).toMatch(/lost the broker/u);
    await cluster.nats.end("SIGKILL");
    await goesOn();

    await dashboard.end("SIGKILL");
    await expect.poll(() => text("#connection"), SLOW).toBe("Offline");
    await goesOn();
    expect(await page.evaluate("window.isSame")).toBe(true);
    const id = /game\/(?<id>[^/]+)/u.exec(page.url())?.groups?.["id"] ?? "";
    await replay.stop();
    const stored = async (): Promise<number> =>
      Number(
        await one(`SELECT count() AS n FROM courtside.predictions_current WHERE game_id = '${id}'`),
      );
    // The last rows become visible with the next checkpoint.
    await expect.poll(async () => (await points()) - (await stored()), SLOW).toBe(1);
    expect(complaints.filter((line) => !/ERR_|40[04]|503/u.test(line))).toEqual([]);
  });
});
