import { systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { createLog, type Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { type Tracing } from "../../base/tracing.ts";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { migrate } from "../../data/clickhouse/migrate.ts";
import type { Disorder } from "../../data/disorder.ts";
import { openSource } from "../../data/readers/mod.ts";
import { MAX_CONCURRENT_GAMES, type ReplaySpeed } from "../../data/replay.ts";
import { type SourceGame } from "../../data/source.ts";
import { MAX_TEAMS } from "../../data/synthetic/league.ts";
import { syntheticSeason } from "../../data/synthetic/season.ts";
import { openNats } from "../../jobs/nats.ts";
import { publishReplay, type ReplaySummary } from "../../jobs/replay/publisher.ts";
import { ensureStreams } from "../../jobs/streams.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { createTracing } from "../../telemetry/tracing.ts";
import { type Command, type CommandContext } from "../command.ts";
import { DISORDER_HELP, DISORDER_OPTIONS, disorderOf } from "../disorder-flags.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { count, createProgress, standardError } from "../io.ts";

/** The generated season without `--games`: an evening of four games side by side, six times. */
const DEFAULT_SYNTHETIC_GAMES = 24;
const DEFAULT_SEED = 1;
const MAX_SEED = 2 ** 32 - 1;
/** Far beyond any season; a typing error should not fill the disk. */
const MAX_GAMES = 1_000_000;

/** The generated season begins on a fixed evening: a second run has to make the same bytes to go on. */
const SYNTHETIC_START_TIME_MS = Date.UTC(2024, 9, 22, 23, 0);

const SYNTHETIC = "synthetic";

export const command: Command = {
  name: "replay",
  summary: "publish recorded or generated games to the broker",
  help: `courtside replay
courtside replay --source ../shared/nba/pbp/v3_2023-24_regular.csv.gz --games 20 --speed max
courtside replay --source synthetic --games 100 --seed 7 --speed 60

Publishes each game in order, its teams first, several games side by side. Started again it publishes only what is
missing. At the end prints one JSON line: {"done":true,"games":[...],"rows":N,"plays":N,"accounts":N,"dead_letters":N,
"frames":N,"published":N,"skipped":N,"last_sequence":N,"wall_s":N}

  --source WHAT         synthetic, or a season file, or a folder of game files (default synthetic)
  --games N             only the first N games (default: 24 generated ones, all of a file)
  --speed X             times faster than it was, or max (default 30)
  --concurrent N        games side by side, 1 to ${MAX_CONCURRENT_GAMES} (default 8; generated: 4)
  --seed N              seed of the generated season (default 1)
  --teams N             teams of the generated season, an even number (default 8, or twice --concurrent)
  --nats-url URL        broker (default nats://127.0.0.1:4222)
  --clickhouse-url URL  where traces go (default: nowhere)
  --prometheus-port N   also serve metrics on this port, 0 for a free one
  --trace-rate R        share of plays that are traced, 0 to 1 (default 1; 0.01 at speed max)

A careless feed, to see that nothing comes of it:
${DISORDER_HELP}

  --json                no progress, only the JSON line`,
  options: {
    source: { type: "string", default: SYNTHETIC },
    games: { type: "string" },
    speed: { type: "string", default: "30" },
    concurrent: { type: "string" },
    seed: { type: "string" },
    teams: { type: "string" },
    "nats-url": { type: "string", default: "nats://127.0.0.1:4222" },
    "clickhouse-url": { type: "string" },
    "trace-rate": { type: "string" },
    "prometheus-port": { type: "string" },
    json: { type: "boolean" },
    ...DISORDER_OPTIONS,
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const startMs = performance.now();
  const options = readOptions(context);
  const log = createLog("replay");
  const prometheusPort = integerFlag(context.values, "prometheus-port", { min: 0, max: 65_535 });
  const metrics = await createMetrics({ service: "replay", prometheusPort });
  const { tracing, close } = await openTracing(options.clickhouseUrl, context.signal, log, metrics);
  try {
    const nc = await openNats(options.natsUrl, {
      name: "courtside-replay",
      signal: context.signal,
    });
    try {
      await ensureStreams(nc);
      const progress = options.isQuiet ? undefined : createReplayProgress(options.games);
      const summary = await publishReplay({
        nc,
        games: openGames(options, log),
        speed: options.speed,
        ...(options.concurrent === undefined ? {} : { concurrent: options.concurrent }),
        ...(options.disorder === undefined ? {} : { disorder: options.disorder }),
        ...(options.traceRate === undefined ? {} : { traceRate: options.traceRate }),
        clock: systemClock,
        tracing,
        metrics,
        log,
        signal: context.signal,
        ...(progress === undefined ? {} : { onProgress: progress.update }),
      }).finally(() => progress?.finish());
      const wallS = (performance.now() - startMs) / 1000;
      context.stdout(`${JSON.stringify(resultOf(summary, wallS))}\n`);
      return summary.interrupted ? 1 : 0;
    } finally {
      await nc.close();
    }
  } finally {
    await close();
    await metrics.shutdown();
  }
}

interface ReplayFlags {
  readonly source: string;
  /** Undefined for all games of a file. */
  readonly games: number | undefined;
  readonly speed: ReplaySpeed;
  readonly concurrent: number | undefined;
  readonly seed: number;
  readonly teams: number | undefined;
  readonly natsUrl: string;
  readonly clickhouseUrl: string | undefined;
  readonly traceRate: number | undefined;
  /** Undefined when the plays come in order. */
  readonly disorder: Disorder | undefined;
  readonly isQuiet: boolean;
}

/** @throws UsageError naming the flag and what it takes. */
function readOptions({ values, positionals }: CommandContext): ReplayFlags {
  const [surplus] = positionals;
  if (surplus !== undefined) {
    throw new UsageError(
      `replay takes no "${surplus}"; a season is named with --source ${surplus}`,
    );
  }
  const source = textFlag(values, "source") ?? SYNTHETIC;
  const concurrent = integerFlag(values, "concurrent", { min: 1, max: MAX_CONCURRENT_GAMES });
  const teams = integerFlag(values, "teams", { min: 2, max: MAX_TEAMS });
  checkTeams(source, teams, concurrent);
  const defaultGames = source === SYNTHETIC ? DEFAULT_SYNTHETIC_GAMES : undefined;
  return {
    source,
    games: integerFlag(values, "games", { min: 1, max: MAX_GAMES }) ?? defaultGames,
    speed: readSpeed(textFlag(values, "speed") ?? "30"),
    concurrent,
    teams,
    seed: integerFlag(values, "seed", { min: 0, max: MAX_SEED }) ?? DEFAULT_SEED,
    natsUrl: textFlag(values, "nats-url") ?? "nats://127.0.0.1:4222",
    clickhouseUrl: textFlag(values, "clickhouse-url"),
    disorder: disorderOf(values),
    traceRate: readRate(textFlag(values, "trace-rate")),
    isQuiet: values["json"] === true,
  };
}

/** A team plays one game at a time. */
function checkTeams(source: string, teams: number | undefined, concurrent = 1): void {
  if (teams === undefined) return;
  if (source !== SYNTHETIC) throw new UsageError("--teams is for a generated season only");
  if (teams % 2 === 1) throw new UsageError(`--teams must be an even number, not ${teams}`);
  if (2 * concurrent > teams) {
    throw new UsageError(`${concurrent} games side by side need --teams ${2 * concurrent}`);
  }
}

function readSpeed(text: string): ReplaySpeed {
  if (text === "max") return "max";
  const speed = Number(text);
  if (Number.isFinite(speed) && speed > 0) return speed;
  throw new UsageError(`--speed must be a number above 0 or "max", not "${text}"`);
}

function readRate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const rate = Number(text);
  if (rate >= 0 && rate <= 1) return rate;
  throw new UsageError(`--trace-rate must be a number from 0 to 1, not "${text}"`);
}

function openGames(
  { source, games, seed, teams, concurrent }: ReplayFlags,
  log: Log,
): Iterable<SourceGame> | AsyncIterable<SourceGame> {
  if (source !== SYNTHETIC) return openSource(source, { games, log });
  return syntheticSeason({
    seed,
    games: games ?? DEFAULT_SYNTHETIC_GAMES,
    ...(teams === undefined ? {} : { teams }),
    ...(concurrent === undefined ? {} : { concurrent }),
    startTimeMs: SYNTHETIC_START_TIME_MS,
  });
}

async function openTracing(
  url: string | undefined,
  signal: AbortSignal,
  log: Log,
  metrics: Metrics,
): Promise<{ readonly tracing: Tracing; readonly close: () => Promise<void> }> {
  // Without a store spans go to the Collector, if one is named.
  const clickhouse = url === undefined ? undefined : await openClickHouse(url, { signal });
  if (clickhouse !== undefined) await migrate(clickhouse);
  const tracing = await createTracing({ service: "replay", clickhouse, log, metrics });
  const close = async (): Promise<void> => {
    await tracing.shutdown();
    await clickhouse?.close();
  };
  return { tracing, close };
}

/** @param total - games to come; unknown for a whole file, where the bar shows what has been begun. */
function createReplayProgress(total: number | undefined) {
  const progress = createProgress(standardError(), "replay");
  return {
    update: ({ games, plays, skipped }: ReplaySummary): void => {
      const skips = skipped === 0 ? "" : `, ${count(skipped)} stored before`;
      const words = `games begun, ${count(plays)} plays${skips}`;
      progress.update(games.length, total ?? games.length, words);
    },
    finish: (): void => {
      progress.finish();
    },
  };
}

function resultOf(summary: ReplaySummary, wallS: number) {
  return {
    done: !summary.interrupted,
    games: summary.games,
    finished: summary.finished,
    rows: summary.rows,
    plays: summary.plays,
    accounts: summary.accounts,
    dead_letters: summary.deadLetters,
    frames: summary.frames,
    published: summary.published,
    skipped: summary.skipped,
    last_sequence: summary.lastSequence,
    wall_s: Math.round(wallS * 1000) / 1000,
  };
}
