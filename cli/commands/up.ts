import { spawn } from "node:child_process";
import { once } from "node:events";
import { openClickHouse } from "../../data/clickhouse/client.ts";
import { findNatsServer } from "../../local/find-nats-server.ts";
import type { RunUrls } from "../../local/run-file.ts";
import type { Command, CommandContext } from "../command.ts";
import { DISORDER_HELP, DISORDER_OPTIONS } from "../disorder-flags.ts";
import { count, createProgress, standardError, styled, type Terminal } from "../io.ts";
import { waitUntilScored, waitUntilStored } from "../up/completion.ts";
import { readUpOptions, type UpOptions } from "../up/options.ts";
import {
  pipelineSpecs,
  replayResult,
  replaySpec,
  startPipeline,
  urlsOf,
  type ReplayResult,
} from "../up/pipeline.ts";
import { choosePorts, type ServiceKey } from "../up/ports.ts";
import {
  abandonDataDir,
  claimDataDir,
  explainFailure,
  openSession,
  type Session,
} from "../up/session.ts";
import { formatSummary, summarize } from "../up/summary.ts";

const HELP = `Examples:
  courtside up
  courtside up --source ../shared/nba/pbp/v3_2023-24_regular.csv.gz --games 20 --speed max --until-done --json
  courtside up --port-base 0 --data ./game-night

Starts everything on this machine: nats-server, ClickHouse, the model server, the insight job, the live page, and
the replay of a season into them. Ctrl-C stops all of it. Started again with the same --data, it goes on.

What is played
  --source WHAT        synthetic, live, or a season file or folder (default synthetic)
  --games N            only the first N games (default: 24 synthetic ones, else all)
  --speed X            times as fast as it was, or max (default 30; max with --until-done)
  --concurrent N       games side by side
  --seed N             seed of the generated season
  --teams N            teams of the generated season (default 8, or twice --concurrent)
  --trace-rate R       share of plays that are traced, 0..1
  --date YYYY-MM-DD    evening of the live feed (default: the one under way)
  --feed-url URL       where the live feed is (default: the league's own); --games then takes game ids

A careless feed
${DISORDER_HELP}

How it ends
  --until-done         stop when every play is in the store, print a summary; exit 1 when anything is missing
  --json               print the summary as one JSON object

Where it runs
  --data DIR           data directory (default: a new one under .courtside/runs, the last three are kept)
  --port N             live page and POST /v1/predict (default 8080)
  --nats-port N        NATS (default 4222)
  --clickhouse-port N  ClickHouse over HTTP (default 8123)
  --grpc-port N        gRPC (default 50051)
  --prometheus-port N  metrics of the insight job (default 9464)
  --port-base N        count all ports from N; 0 picks free ones
  --nats-url URL       use this broker, start none
  --clickhouse-url URL use this ClickHouse, start none
  --nats-server PATH   binary of nats-server to start
  --models FOLDER      models to serve
  --checkpoint-interval-ms N
                       time between checkpoints of the insight job
  --no-open            do not open a browser
`;

const TEXT_FLAGS = `
  source games speed concurrent seed teams trace-rate data date feed-url
  port nats-port clickhouse-port grpc-port prometheus-port port-base
  nats-url clickhouse-url nats-server models checkpoint-interval-ms`;

export const command: Command = {
  name: "up",
  summary: "Run the whole pipeline on this machine and replay a season",
  help: HELP,
  options: {
    ...Object.fromEntries(
      TEXT_FLAGS.trim()
        .split(/\s+/)
        .map((name) => [name, { type: "string" } as const]),
    ),
    ...DISORDER_OPTIONS,
    "until-done": { type: "boolean" },
    json: { type: "boolean" },
    open: { type: "boolean" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const startMs = performance.now();
  const options = await readUpOptions(context);
  const terminal = standardError();
  const say = (text: string): void => {
    terminal.write(`${text}\n`);
  };
  const natsServer =
    options.natsUrl === undefined
      ? await findNatsServer({ explicitPath: options.natsServer, say })
      : undefined;
  const data = await claimDataDir(options.data, say);
  const ports = await choosePorts(context.values, wantedPorts(options)).catch(
    async (error: unknown) => {
      await abandonDataDir(data, options.data);
      throw error;
    },
  );
  const urls = urlsOf(options, ports);
  const session = await openSession(data, urls, say);
  const place = { ports, urls, data };
  const specs = pipelineSpecs({ ...options, natsServer: natsServer?.path }, place);
  try {
    const work = async (): Promise<number | undefined> => {
      const pipeline = startPipeline(session.supervisor, specs);
      await pipeline.stores;
      // Who watches wants the first play soon; who measures wants no play that waited for the start.
      if (options.untilDone) await pipeline.everything;
      const replaying = replay(session, options, urls);
      replaying.catch(() => {});
      await pipeline.everything;
      const upS = (performance.now() - startMs) / 1000;
      say(`${specs.length} processes are ready after ${upS.toFixed(1)} s`);
      printAddresses(context, options, urls, terminal);
      return finish(context, options, { session, urls, startMs, say, replaying });
    };
    const stopped = untilStopped(context.signal);
    const exitCode = await Promise.race([work(), session.failed, stopped]);
    // Told to stop: fine for a demonstration, not for a run that was to reach its end.
    return exitCode ?? (options.untilDone ? 1 : 0);
  } catch (error) {
    throw await explainFailure(error, data.root);
  } finally {
    if (context.signal.aborted) say("stopping");
    await session.close();
  }
}

async function untilStopped(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, "abort");
}

interface FinishContext {
  readonly replaying: Promise<Replayed>;
  readonly session: Session;
  readonly urls: RunUrls;
  readonly startMs: number;
  readonly say: (text: string) => void;
}

interface Replayed {
  readonly startMs: number;
  readonly result: ReplayResult;
}

async function replay(session: Session, options: UpOptions, urls: RunUrls): Promise<Replayed> {
  const startMs = performance.now();
  const last = await session.supervisor.run(replaySpec(options, urls), () => {});
  return { startMs, result: replayResult(last) };
}

/** Waits for the end of the replay, and for the store when that was asked for. */
async function finish(
  context: CommandContext,
  options: UpOptions,
  { session, urls, startMs, say, replaying }: FinishContext,
): Promise<number | undefined> {
  const { startMs: replayStartMs, result: replay } = await replaying;
  say(
    `replayed ${count(replay.games.length)} games: ` +
      `${count(replay.plays)} plays, ${count(replay.deadLetters)} dead letters`,
  );
  if (!options.untilDone) {
    say("The page stays up; Ctrl-C stops everything.");
    return untilStopped(context.signal);
  }
  const client = await openClickHouse(urls.clickhouse, { readOnly: true, signal: context.signal });
  try {
    const counts = await storedCounts(client, replay, context.signal);
    const nowMs = performance.now();
    const summary = await summarize(client, {
      replay,
      counts,
      wallS: (nowMs - startMs) / 1000,
      replayS: (nowMs - replayStartMs) / 1000,
      dataDir: session.data.root,
    });
    await waitUntilScored(client, replay, context.signal);
    context.stdout(options.json ? `${JSON.stringify(summary)}\n` : formatSummary(summary));
    return summary.ok ? 0 : 1;
  } finally {
    await client.close();
  }
}

async function storedCounts(
  client: Awaited<ReturnType<typeof openClickHouse>>,
  replay: ReplayResult,
  signal: AbortSignal,
): ReturnType<typeof waitUntilStored> {
  const progress = createProgress(standardError(), "stored");
  try {
    return await waitUntilStored(client, replay, {
      signal,
      onCounts: ({ predictions }) => {
        progress.update(predictions, replay.plays, "plays");
      },
    });
  } finally {
    progress.finish();
  }
}

function wantedPorts(options: UpOptions): readonly ServiceKey[] {
  return [
    ...(["page", "grpc", "prometheus"] as const),
    ...(options.natsUrl === undefined ? (["nats"] as const) : []),
    ...(options.clickhouseUrl === undefined ? (["clickhouse"] as const) : []),
  ];
}

function printAddresses(
  context: CommandContext,
  options: UpOptions,
  urls: RunUrls,
  terminal: Terminal,
): void {
  const text = `
  Live page    ${styled(terminal, ["bold", "cyan"], urls.page)}

  ClickHouse   ${urls.clickhouse}
  NATS         ${urls.nats}
  gRPC         ${urls.serving}

  Try: npx courtside sql "SELECT game_id, max(play_number) AS plays FROM courtside.predictions GROUP BY game_id"

`;
  // With --json standard output has the summary and nothing else.
  if (options.json) terminal.write(text);
  else context.stdout(text);
  const isForPeople = terminal.interactive && !options.json && !options.untilDone;
  if (options.open && isForPeople) openBrowser(urls.page);
}

/** Tries to show the page; the address is printed anyhow. */
function openBrowser(url: string): void {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env;
  const isMac = process.platform === "darwin";
  if (!isMac && DISPLAY === undefined && WAYLAND_DISPLAY === undefined) return;
  const browser = spawn(isMac ? "open" : "xdg-open", [url], { stdio: "ignore", detached: true });
  browser.on("error", () => {});
  browser.unref();
}
