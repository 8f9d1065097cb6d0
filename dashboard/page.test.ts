import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Insight } from "../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../proto/gen/courtside/v1/play_pb.ts";
import { INSIGHTS_STREAM, INSIGHTS_SUBJECTS, insightsSubject } from "../proto/subjects.ts";
import {
  AWAY_ID,
  HOME_ID,
  InsightBuilder,
  insightBytes,
  playerId,
  scriptedGame,
} from "../tests/support/insights.ts";
import { complaintsOf, hasChromium, launchBrowser } from "../tests/support/browser.ts";
import { startNats, type TestNats } from "../tests/support/nats.ts";
import { type Dashboard, startDashboard } from "./server.ts";

const PLAY = { number: 1, period: 1, clockS: 700, homeScore: 2, awayScore: 0, homeWinProb: 0.66 };

describe.skipIf(!hasChromium)("the live page in Chromium", { timeout: 30_000 }, () => {
  let nats: TestNats;
  let connection: NatsConnection;
  let browser: Browser;
  let dashboard: Dashboard;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    browser = await launchBrowser();
  }, 60_000);

  afterAll(async () => browser.close());

  beforeEach(async () => {
    nats = await startNats();
    connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: INSIGHTS_STREAM, subjects: [INSIGHTS_SUBJECTS] });
    dashboard = await startDashboard({ port: 0, natsUrl: nats.url });
    page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
    complaints = complaintsOf(page);
  }, 30_000);

  afterEach(async () => {
    await page.close();
    await dashboard.close();
    await connection.close();
    await nats.stop();
  });

  function address(hash = ""): string {
    return `http://127.0.0.1:${String(dashboard.port)}/${hash}`;
  }

  async function publish(game: InsightBuilder, ...insights: readonly Insight[]): Promise<void> {
    const subject = insightsSubject(game.keyGroup, game.gameId);
    for (const insight of insights) {
      await jetstream(connection).publish(subject, insightBytes(insight));
    }
  }

  /** Waits until `read` gives `expected`; the page may need a few frames. */
  async function shows(selector: string, expected: string | RegExp): Promise<void> {
    const match = expect.poll(async () => page.locator(selector).first().textContent(), {
      timeout: 5_000,
    });
    await (typeof expected === "string" ? match.toBe(expected) : match.toMatch(expected));
  }

  async function curvePoints(): Promise<number> {
    return Number(await page.locator("#chart").getAttribute("data-points"));
  }

  test("an empty stream is an honest wait, and the first game appears by itself", async () => {
    await page.goto(address());
    await shows("#empty-title", "Waiting for the first game");
    const game = new InsightBuilder("SYN1");
    await publish(game, game.info());
    await page.locator("#game-list a").first().click();
    await shows("#chart-empty", /Waiting for the first play · before tip-off BOS 64%/u);
    await shows(".stand-clock", "Not started");
    expect(complaints).toEqual([]);
  });

  test("the list, the score bug and the curve move with the plays", async () => {
    const [one, two] = [new InsightBuilder("SYN1"), new InsightBuilder("SYN2", "DEN", "LAL")];
    await publish(one, one.info(), one.play(PLAY));
    await publish(two, two.info());
    await page.goto(address("#/game/SYN1"));
    await shows(".team.home .score", "2");
    await expect.poll(async () => page.locator("#game-list .card").count()).toBe(2);
    // The point before tip-off and the play.
    expect(await curvePoints()).toBe(2);

    await publish(
      one,
      one.play({
        ...PLAY,
        number: 2,
        clockS: 655,
        awayScore: 3,
        homeWinProb: 0.58,
        side: Side.AWAY,
        shotValue: 3,
        possession: Side.HOME,
        run: -3,
        text: "Three by Abbott",
      }),
    );
    await shows(".team.away .score", "3");
    await shows(".stand-clock", "Q1 10:55");
    await shows(".chance-text.home", /^58%/u);
    expect(await curvePoints()).toBe(3);
    await shows("#plays li:first-child .play-text", /NYK Three by Abbott/u);
    await shows("#plays li:first-child .change", "NYK +8.0");
    expect(await page.locator(".team.home .ball").isVisible()).toBe(true);
    expect(await page.locator(".team.away .ball").isVisible()).toBe(false);
    await shows(".team.home .team-facts", /Fouls 3/u);
    expect(await page.locator(".team.home .pips").getAttribute("aria-label")).toBe(
      "4 time-outs left",
    );
    await shows("#latency", /feed → page \d+ (?:ms|s)/u);
    await shows('#game-list [data-game="SYN1"] .card-stand', "Q1 10:55");
    expect(complaints).toEqual([]);
  });

  test("the curve has a point for every play of a game, and the result ends it", async () => {
    const game = new InsightBuilder("SYN1");
    const insights = [...scriptedGame(game, 5)];
    const plays = insights.filter(({ body }) => body.case === "play").length;
    await publish(game, ...insights.slice(0, 200));
    await page.goto(address("#/game/SYN1"));
    await expect.poll(curvePoints).toBeGreaterThan(50);
    const before = await curvePoints();
    await publish(game, ...insights.slice(200));
    await expect.poll(curvePoints).toBe(plays + 1);
    expect(before).toBeLessThan(plays);
    await shows(".stand-clock", "Final");
    await shows(".bug-note", /won by \d+ · 480 plays · Excitement/u);
    await shows(".team.home .team-facts", "Elo 1597 (+8.5)");
    expect(complaints).toEqual([]);
  });

  test("the box score and the windows show what the job said", async () => {
    const game = new InsightBuilder("SYN1");
    const line = { made: 4, tried: 9, onCourt: true, stintS: 245, fouls: 5 };
    await publish(
      game,
      game.info(),
      game.play(PLAY),
      game.window(300, 300, 12),
      game.box([
        { teamId: HOME_ID, index: 0, points: 11, playedS: 605, ...line },
        { teamId: AWAY_ID, index: 6, points: 2, playedS: 61 },
      ]),
    );
    await page.goto(address("#/game/SYN1"));
    const row = `tr[data-player="${String(playerId(HOME_ID, 0))}"]`;
    await shows(`.box-table.home ${row} .points`, "11");
    const cells = await page.locator(`${row} td`).allTextContents();
    expect(cells.slice(0, 10)).toEqual(["10:05", "11", "0.0", "3", "2", "0", "0", "0", "5", "4–9"]);
    expect(cells[15]).toBe("4:05");
    expect(await page.locator(`${row} .court-dot`).isVisible()).toBe(true);
    await shows(".box-table.away tbody td", "1:01");
    await shows('[data-size="120"] tr[data-side="home"]', "BOS73–658%11–21–");
    await shows('[data-size="300"] tr[data-side="home"]', "BOS124–856%10–0090");
    // The line is as of 11:40; 30 s later he has played and stood 30 s more, without a new line.
    await publish(game, game.play({ ...PLAY, number: 2, clockS: 670 }));
    await shows(`${row} td`, "10:35");
    expect((await page.locator(`${row} td`).allTextContents())[15]).toBe("4:35");
    await shows(".box-table.away tbody .rest", "rest 2:00");
    // Updates replace the row, they do not add one.
    await publish(
      game,
      game.box([{ teamId: HOME_ID, index: 0, points: 14, playedS: 620, ...line }]),
    );
    await shows(`${row} .points`, "14");
    expect(await page.locator(row).count()).toBe(1);
  });

  test("the page survives a restart of the dashboard and goes on where it was", async () => {
    const game = new InsightBuilder("SYN1");
    await publish(game, game.info(), game.play(PLAY));
    await page.goto(address("#/game/SYN1"));
    await shows(".team.home .score", "2");
    const { port } = dashboard;
    await dashboard.close();
    await shows("#connection", "Offline");
    await shows("#banner", /Connection to the dashboard lost/u);
    // What was there stays readable.
    await shows(".team.home .score", "2");
    await publish(game, game.play({ ...PLAY, number: 2, homeScore: 4 }));
    dashboard = await startDashboard({ port, natsUrl: nats.url });
    await expect
      .poll(async () => page.locator(".team.home .score").textContent(), { timeout: 15_000 })
      .toBe("4");
    await shows("#connection", "Live");
    expect(await page.locator("#banner").isHidden()).toBe(true);
    expect(await curvePoints()).toBe(3);
    // The browser itself logs the refused connections, nothing else may complain.
    expect(complaints.filter((text) => !text.includes("ERR_"))).toEqual([]);
  });

  test("hostile text of the feed stays text", async () => {
    const evil = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'>`;
    const game = new InsightBuilder(`SYN'"><b>1`, evil, `javascript:hacked=1`);
    await publish(
      game,
      game.info({ venue: evil }),
      game.play({ ...PLAY, text: evil }),
      game.box([{ teamId: HOME_ID, index: 0, points: 1, playedS: 1, name: evil }]),
    );
    await page.goto(address(`#/game/${encodeURIComponent(game.gameId)}`));
    await shows("#plays .play-text", new RegExp("<script>window.hacked=1</script>", "u"));
    await shows(".box-table.home tbody th", new RegExp("onerror", "u"));
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.evaluate("window.hacked")).toBeUndefined();
    // The policy is there too, should a text ever become markup.
    await page.evaluate(
      `document.body.insertAdjacentHTML("beforeend", '<img src=x onerror="window.hacked=2">')`,
    );
    await expect.poll(() => complaints.join("\n")).toContain("Content Security Policy");
    expect(await page.evaluate("window.hacked")).toBeUndefined();
  });

  test("games and plays can be walked through by keyboard", async () => {
    const games = ["SYN1", "SYN2", "SYN3"].map((id) => new InsightBuilder(id));
    for (const game of games) {
      await publish(game, game.info(), game.play(PLAY));
      await publish(game, game.play({ ...PLAY, number: 2, clockS: 650, homeWinProb: 0.7 }));
    }
    await page.goto(address("#/game/SYN1"));
    await expect.poll(async () => page.locator("#game-list .card").count()).toBe(3);
    await page.locator("#game-list a").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.url()).toContain("#/game/SYN2");
    await shows('#game-list [aria-current="page"] b', "NYK");
    await expect
      .poll(() => page.locator('[data-game="SYN2"] a').getAttribute("aria-current"))
      .toBe("page");

    await expect.poll(curvePoints).toBe(3);
    await page.locator("#chart").focus();
    await page.keyboard.press("ArrowLeft");
    await shows("#readout", /^BOS 66% \(\+2\.0\) \[61%–71%\] · Q1 11:40, 0–2, Play 1$/u);
    expect(await page.locator("#chart").getAttribute("aria-valuetext")).toMatch(/Q1 11:40/u);
    expect(await page.locator("#chart").getAttribute("aria-valuenow")).toBe("1");
    await page.keyboard.press("Home");
    await shows("#readout", /Before tip-off/u);
    await page.keyboard.press("End");
    await shows("#readout", /^BOS 70%/u);
    // The first stop of the tab key leads past the list.
    await page.reload();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    expect(complaints).toEqual([]);
  });

  test("an address of no game says so and leaves the list usable", async () => {
    const game = new InsightBuilder("SYN1");
    await publish(game, game.info(), game.play(PLAY));
    await page.goto(address("#/game/%E0%A4%A"));
    await shows("#empty-title", "No such game");
    await page.locator("#game-list a").first().click();
    await shows(".team.home .score", "2");
    expect(complaints).toEqual([]);
  });

  test("a play that is taken back is struck out and leaves the curve", async () => {
    const game = new InsightBuilder("SYN1");
    await publish(game, game.info(), game.play(PLAY), game.play({ ...PLAY, number: 2 }));
    await page.goto(address("#/game/SYN1"));
    await expect.poll(curvePoints).toBe(3);
    await publish(game, game.play({ ...PLAY, number: 2, revision: 2, retracted: true }));
    await shows('[data-play="2"].retracted .chip', "taken back");
    expect(await curvePoints()).toBe(2);
  });

  test("no width from phone to wall makes the page scroll sideways, in dark and light", async () => {
    const game = new InsightBuilder("SYN1");
    await publish(game, ...[...scriptedGame(game, 5)].slice(0, 150));
    for (const [width, scheme] of [
      [360, "light"],
      [768, "dark"],
      [2560, "light"],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(address("#/game/SYN1"));
      await expect.poll(curvePoints).toBeGreaterThan(20);
      const [content, view] = await page.evaluate<[number, number]>(
        "[document.documentElement.scrollWidth, innerWidth]",
      );
      expect(content).toBeLessThanOrEqual(view);
      const background = await page.evaluate<string>(
        "getComputedStyle(document.body).backgroundColor",
      );
      expect(background).toBe(scheme === "light" ? "rgb(241, 244, 248)" : "rgb(10, 14, 19)");
    }
    expect(complaints).toEqual([]);
  });
});
