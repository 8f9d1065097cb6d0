import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { setTimeout as delay } from "node:timers/promises";
import { startDashboard } from "../../dashboard/server.ts";
import { INSIGHTS_STREAM, INSIGHTS_SUBJECTS, insightsSubject } from "../../proto/subjects.ts";
import { hasChromium, launchBrowser } from "../support/browser.ts";
import { AWAY_ID, HOME_ID, InsightBuilder, insightBytes } from "../support/insights.ts";
import { seededRandom } from "../../base/random.ts";
import { type Insight } from "../../proto/gen/courtside/v1/insight_pb.ts";
import { Side } from "../../proto/gen/courtside/v1/play_pb.ts";
import { startNats } from "../support/nats.ts";

/**
 * How fast the page is: `node tests/bench/page.ts [--json]`.
 * 1. Published to pixel, in a real browser: 15 games at ten times their pace.
 * 2. Cost of a delivery to each of 500 open pages, and how late the slowest gets it.
 * 3. Walking along a curve of 600 points with 15 games open: longest task, frames a second.
 */

const GAMES = 15;
/** A game has a play every 17 s on average; 15 games at x10 make 9 a second. */
const PLAYS_PER_S = (GAMES * 10) / 17;
const LIVE_S = 20;
const CLIENTS = 500;
const FAN_OUT_S = 10;

const clientsAt = process.argv.indexOf("--clients");
if (clientsAt >= 0) await runClients(Number(process.argv[clientsAt + 1]));

const nats = await startNats();
const connection = await connect({ servers: nats.url });
await (
  await jetstreamManager(connection)
).streams.add({
  name: INSIGHTS_STREAM,
  subjects: [INSIGHTS_SUBJECTS],
});
const js = jetstream(connection);
const games = Array.from({ length: GAMES }, (_, at) => new InsightBuilder(`SYN${String(at + 1)}`));
const scripts = games.map((game, at) => longGame(game, at + 1));
const results: Record<string, number> = {};

/** A game of 600 plays, more than any game of regulation has, with a box score that changes behind every other one. */
function* longGame(game: InsightBuilder, seed: number): Generator<Insight> {
  const random = seededRandom(seed);
  let [homeScore, awayScore, homeWinProb] = [0, 0, 0.5];
  yield game.info();
  for (let number = 1; number <= 600; number += 1) {
    const period = Math.ceil(number / 150);
    const clockS = 720 - ((number - 1) % 150) * 4.8;
    const isHome = random.next() < 0.5;
    const points = random.next() < 0.4 ? 2 : 0;
    if (isHome) homeScore += points;
    else awayScore += points;
    homeWinProb = Math.min(0.99, Math.max(0.01, homeWinProb + random.normal(0, 0.02)));
    const side = isHome ? Side.HOME : Side.AWAY;
    const facts = {
      number,
      period,
      clockS,
      homeScore,
      awayScore,
      homeWinProb,
      side,
      shotValue: points,
    };
    yield game.play({ ...facts, text: `Play ${String(number)}` });
    if (number % 2 === 0)
      yield game.box(
        [HOME_ID, AWAY_ID].map((teamId) => ({
          teamId,
          index: random.int(9),
          points: number,
          playedS: number,
        })),
      );
  }
  yield game.result(homeScore, awayScore, homeWinProb);
}

/** Publishes the next insight of each game in turn, `perS` a second for `seconds`. */
async function play(perS: number, seconds: number): Promise<number> {
  const startMs = performance.now();
  let sent = 0;
  while (performance.now() - startMs < seconds * 1_000) {
    const at = sent % GAMES;
    const next = scripts[at]?.next();
    const game = games[at];
    if (next?.done === false && game !== undefined) {
      await js.publish(insightsSubject(game.keyGroup, game.gameId), insightBytes(next.value));
    }
    sent += 1;
    await delay(Math.max(0, startMs + (sent / perS) * 1_000 - performance.now()));
  }
  return sent;
}

/** A page without a browser: reads events and notes how old the newest play is when it arrives. */
function openClient(port: number, latenciesMs: number[]): Socket {
  const socket = connectTcp(port, "127.0.0.1");
  socket.write("GET /api/events?game=SYN1 HTTP/1.1\r\nhost: bench\r\n\r\n");
  let isLive = false;
  socket.on("data", (chunk: Buffer) => {
    const text = chunk.toString("latin1");
    if (!isLive) {
      isLive = text.includes("event: snapshot");
      return;
    }
    const nowMs = Date.now();
    const told = /"lastPlayTimeMs":(\d+)/u.exec(text)?.[1];
    if (told !== undefined && told !== "0") latenciesMs.push(nowMs - Number(told));
  });
  return socket;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Readers in processes of their own, so that their work is not counted as the server's. */
async function fanOut(port: number): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, "--clients", String(port)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  await delay(4_000);
  const memory = process.memoryUsage().rss;
  const cpu = process.cpuUsage();
  const sent = await play(20, FAN_OUT_S);
  await delay(500);
  const spent = process.cpuUsage(cpu);
  // The publisher of this script runs in the same process; what it costs alone is taken off below.
  const gone = once(child, "close");
  child.kill("SIGTERM");
  await gone;
  const idle = process.cpuUsage();
  await play(20, FAN_OUT_S);
  const alone = process.cpuUsage(idle);
  const { deliveries, p50, p99 } = JSON.parse(output) as Record<string, number>;
  const cpuUs = spent.user + spent.system - (alone.user + alone.system);
  results["fan_out_clients"] = CLIENTS;
  results["fan_out_events"] = sent;
  results["fan_out_deliveries"] = deliveries ?? 0;
  results["fan_out_cpu_us_per_delivery"] = round(cpuUs / Math.max(1, sent * CLIENTS));
  results["fan_out_ms_p50"] = p50 ?? 0;
  results["fan_out_ms_p99"] = p99 ?? 0;
  results["fan_out_rss_growth_mb"] = round((process.memoryUsage().rss - memory) / 1e6);
}

async function inBrowser(port: number): Promise<void> {
  const browser = await launchBrowser();
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  await page.goto(`http://127.0.0.1:${String(port)}/#/game/SYN1`);
  await page.locator("#chart[data-points]").waitFor();
  await play(PLAYS_PER_S, LIVE_S);
  // The page tells its latency with the next frame that it draws.
  await delay(1_500);
  const told = await page
    .locator("#latency")
    .evaluate((node) => ({ ...(node as unknown as { dataset: Record<string, string> }).dataset }));
  results["pixel_ms_p50"] = Number(told["p50"]);
  results["pixel_ms_p99"] = Number(told["p99"]);
  results["pixel_plays"] = Number(told["count"]);
  for (const [at, script] of scripts.entries())
    for (const insight of script) {
      const game = games[at];
      if (game !== undefined)
        await js.publish(insightsSubject(game.keyGroup, game.gameId), insightBytes(insight));
    }
  await page.locator(".stand-clock", { hasText: "Final" }).waitFor();
  await delay(1_000);
  results["scrub_points"] = Number(await page.locator("#chart").getAttribute("data-points"));
  const { longest, frames, tasks } = await page.evaluate<{
    longest: number;
    frames: number;
    tasks: number;
  }>(SCRUB);
  // What this machine draws of a page on which nothing happens: the rest is its load, not the page's.
  results["idle_frames_per_s"] = round(await page.evaluate<number>(IDLE));
  results["scrub_longest_task_ms"] = round(longest);
  results["scrub_long_tasks"] = tasks;
  results["scrub_frames_per_s"] = round(frames);
  await browser.close();
}

/** Drags over the whole curve, one move a frame for three seconds. */
const SCRUB = `new Promise((resolve) => {
  const over = document.querySelector("#chart .u-over");
  const box = over.getBoundingClientRect();
  let longest = 0, tasks = 0;
  new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) { tasks += 1; longest = Math.max(longest, duration); } })
    .observe({ type: "longtask" });
  const send = (type, x) => over.dispatchEvent(new PointerEvent(type, { clientX: box.left + x, clientY: box.top + 50, bubbles: true, button: 0, pointerId: 1 }));
  over.setPointerCapture = () => {};
  const start = performance.now();
  let frames = 0;
  send("pointerdown", 5);
  const step = () => {
    const ms = performance.now() - start;
    frames += 1;
    send("pointermove", (Math.sin(ms / 300) * 0.48 + 0.5) * box.width);
    if (ms < 3000) requestAnimationFrame(step);
    else { send("pointerup", 5); setTimeout(() => resolve({ longest, tasks, frames: frames / (ms / 1000) }), 300); }
  };
  requestAnimationFrame(step);
})`;

const IDLE = `new Promise((resolve) => { let frames = 0; const start = performance.now();
  const step = () => { frames += 1; const ms = performance.now() - start; if (ms < 2000) requestAnimationFrame(step); else resolve(frames / (ms / 1000)); };
  requestAnimationFrame(step); })`;

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The other process: opens the pages and reports at SIGTERM. */
async function runClients(port: number): Promise<void> {
  const latenciesMs: number[] = [];
  for (let at = 0; at < CLIENTS; at += 1) {
    openClient(port, latenciesMs);
    if (at % 50 === 49) await delay(50);
  }
  await once(process, "SIGTERM");
  const report = {
    deliveries: latenciesMs.length,
    p50: quantile(latenciesMs, 0.5),
    p99: quantile(latenciesMs, 0.99),
  };
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

const dashboard = await startDashboard({ port: 0, natsUrl: nats.url });
await fanOut(dashboard.port);
if (hasChromium) await inBrowser(dashboard.port);
await dashboard.close();
await connection.close();
await nats.stop();
if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify(results)}\n`);
else
  for (const [name, value] of Object.entries(results))
    process.stdout.write(`${name.padEnd(32)} ${String(value)}\n`);
