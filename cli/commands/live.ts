import { setGlobalProxyFromEnv } from "node:http";
import path from "node:path";
import type { ClickHouseClient } from "@clickhouse/client";
import { systemClock } from "../../base/clock.ts";
import { createLog, type Log } from "../../base/log.ts";
import { seededRandom } from "../../base/random.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import { NBA_FEED_URL } from "../../data/live/feed-client.ts";
import { NO_REFERENCE, readReference } from "../../data/readers/reference.ts";
import { type LiveSummary, runLive, type StaleAlarm } from "../../jobs/live/run-live.ts";
import { openNats } from "../../jobs/nats.ts";
import { ensureStreams } from "../../jobs/streams.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { readLiveFlags } from "../live-flags.ts";

const PORTS = { min: 0, max: 65_535 };
/** The feed itself is made anew every few seconds; asking more often than that tells nothing. */
const POLL_MS = { min: 20, max: 600_000 };
const SECONDS = { min: 0, max: 86_400 };
const RATE = { min: 1, max: 1000 };

export const command: Command = {
  name: "live",
  summary: "follow the games of an evening and publish new and corrected plays",
  help: `courtside live
courtside live --date 2025-02-05 --games 0022400710,0022400711
courtside live --feed-url http://127.0.0.1:8090 --until-done

Follows the schedule, play-by-play and box score of cdn.nba.com: asks for what has changed only, waits longer when
something fails, and keeps its requests apart. Started again it publishes what the broker lacks. The data is the
league's, for your own use under its terms. Proxies are taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Prints
{"ready":true,"service":"live","port":N} when it begins, and at its end {"done":true,"games":[...],"finished":N,
"postponed":[...],"rows":N,"plays":N,"accounts":N,"dead_letters":N,"frames":N,"last_sequence":N,"wall_s":N}

  --date YYYY-MM-DD     evening to follow (default: the one that the scoreboard shows)
  --games IDS           only these, with commas between
  --feed-url URL        address of the feed (default ${NBA_FEED_URL})
  --reference DIR       folder with games/ and odds/, for ratings and odds before the game (default: none)
  --until-done          end when every game has ended and nothing has changed for --settle-s
  --poll-ms N           time between two looks at the play-by-play of a game (default 4000)
  --requests-per-s N    most requests a second, of all games together (default 4)
  --timeout-ms N        longest wait for an answer of the feed (default 10000)
  --stale-after-s N     a running game without a new play for so long raises the alarm (default 180)
  --settle-s N          how long a finished game is followed for corrections (default 1800)
  --nats-url URL        broker (default nats://127.0.0.1:4222)
  --clickhouse-url URL  where alarms and traces go (default: nowhere)
  --prometheus-port N   also serve /metrics, /healthz and /readyz on this port, 0 for a free one
  --host ADDRESS        address of that port (default 127.0.0.1)`,
  options: {
    date: { type: "string" },
    games: { type: "string" },
    "feed-url": { type: "string" },
    reference: { type: "string" },
    "until-done": { type: "boolean" },
    "poll-ms": { type: "string", default: "4000" },
    "requests-per-s": { type: "string", default: "4" },
    "timeout-ms": { type: "string", default: "10000" },
    "stale-after-s": { type: "string", default: "180" },
    "settle-s": { type: "string", default: "1800" },
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "clickhouse-url": { type: "string" },
    "prometheus-port": { type: "string" },
    host: { type: "string", default: "127.0.0.1" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const startMs = performance.now();
  const { values, signal } = context;
  const flags = readLiveFlags(values);
  const times = readTimes(values);
  const log = createLog("live");
  const feedUrl = flags.feedUrl ?? NBA_FEED_URL;
  useProxies(feedUrl);
  const folder = textFlag(values, "reference");
  // The tables are looked for beside a folder of play-by-play, as the data folder lays them out.
  const reference =
    folder === undefined ? NO_REFERENCE : await readReference(path.join(folder, "pbp"));
  const clickHouse = await openStore(textFlag(values, "clickhouse-url"), signal);
  const metrics = await createMetrics({
    service: "live",
    host: textFlag(values, "host"),
    prometheusPort: integerFlag(values, "prometheus-port", PORTS),
  });
  const tracing = await createTracing({ service: "live", clickhouse: clickHouse, log, metrics });
  const alarms = new AlarmRows(clickHouse, log);
  try {
    const nats = await openNats(String(values["nats-url"]), { name: "courtside-live", signal });
    try {
      await ensureStreams(nats);
      metrics.reportHealth({ notReady: () => (signal.aborted ? "stopping" : undefined) });
      if (values["until-done"] !== true) tellReady(context, metrics.port ?? 0);
      const { pollMs, requestsPerS, timeoutMs, staleMs, settleMs } = times;
      const summary = await runLive(
        {
          ...flags,
          nats,
          feedUrl,
          reference,
          requestsPerS,
          timeoutMs,
          rhythm: { pollMs, staleMs, settleMs },
          untilDone: values["until-done"] === true,
          clock: systemClock,
          random: seededRandom(systemClock.nowMs()),
          tracing,
          metrics,
          log,
          onAlarm: (alarm) => alarms.add(alarm),
        },
        signal,
      );
      context.stdout(
        `${JSON.stringify(resultOf(summary, (performance.now() - startMs) / 1000))}\n`,
      );
      return summary.interrupted && values["until-done"] === true ? 1 : 0;
    } finally {
      await nats.close();
    }
  } finally {
    await alarms.settle();
    await tracing.shutdown();
    await metrics.shutdown();
    await clickHouse?.close();
  }
}

function tellReady(context: CommandContext, port: number): void {
  context.stdout(`${JSON.stringify({ ready: true, service: "live", port })}\n`);
}

interface Times {
  readonly pollMs: number;
  readonly requestsPerS: number;
  readonly timeoutMs: number;
  readonly staleMs: number;
  readonly settleMs: number;
}

function readTimes(values: CommandContext["values"]): Times {
  return {
    pollMs: integerFlag(values, "poll-ms", POLL_MS) ?? 0,
    requestsPerS: integerFlag(values, "requests-per-s", RATE) ?? 1,
    timeoutMs: integerFlag(values, "timeout-ms", POLL_MS) ?? 0,
    staleMs: 1000 * (integerFlag(values, "stale-after-s", SECONDS) ?? 0),
    settleMs: 1000 * (integerFlag(values, "settle-s", SECONDS) ?? 0),
  };
}

/** A feed on this machine is not behind a proxy. */
function useProxies(feedUrl: string): void {
  const { hostname } = new URL(feedUrl);
  if (hostname !== "localhost" && hostname !== "127.0.0.1" && hostname !== "[::1]")
    setGlobalProxyFromEnv();
}

async function openStore(
  url: string | undefined,
  signal: AbortSignal,
): Promise<ClickHouseClient | undefined> {
  if (url === undefined) return undefined;
  const client = await openClickHouse(url, { signal });
  await migrate(client);
  return client;
}

/** Alarms as rows; a store that is away loses them, the log and the metric have them anyhow. */
class AlarmRows {
  readonly #client: ClickHouseClient | undefined;
  readonly #log: Log;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(client: ClickHouseClient | undefined, log: Log) {
    this.#client = client;
    this.#log = log;
  }

  add({ gameId, silentMs, isStale, atMs }: StaleAlarm): void {
    const row = {
      game_id: gameId,
      alarm: isStale ? "stale" : "alive",
      raised_at: new Date(atMs).toISOString(),
      silent_s: silentMs / 1000,
    };
    const insert = async (): Promise<unknown> =>
      this.#client?.insert({
        table: "courtside.feed_alarms",
        values: [row],
        format: "JSONEachRow",
        clickhouse_settings: { date_time_input_format: "best_effort" },
      });
    this.#writing = this.#writing.then(insert).catch((error: unknown) => {
      this.#log.error("alarm_not_stored", error, { gameId });
    });
  }

  async settle(): Promise<void> {
    await this.#writing;
  }
}

function resultOf(summary: LiveSummary, wallS: number) {
  return {
    done: !summary.interrupted,
    games: summary.games,
    finished: summary.finished,
    postponed: summary.postponed,
    rows: summary.plays + summary.deadLetters,
    plays: summary.plays,
    accounts: summary.accounts,
    dead_letters: summary.deadLetters,
    frames: summary.frames,
    last_sequence: summary.lastSequence,
    wall_s: Math.round(wallS * 1000) / 1000,
  };
}
