import type { ChildMessage, ChildSpec } from "../../local/child.ts";
import type { RunUrls } from "../../local/run-file.ts";
import type { Supervisor } from "../../local/supervisor.ts";
import type { DataDirLayout } from "../../local/data-dir.ts";
import { LIVE, type UpOptions } from "./options.ts";
import type { Ports } from "./ports.ts";

/** What the replay tells at its end; rows of the source = plays + dead letters. */
export interface ReplayResult {
  /** Ids of the games that were replayed. */
  readonly games: readonly string[];
  /** Games whose end is in the source. */
  readonly finished: number;
  readonly rows: number;
  readonly plays: number;
  /** Rows that the store gets for them: more than plays when some were corrected. */
  readonly accounts: number;
  readonly deadLetters: number;
}

/** Where the parts will be found, whether they are started here or run already. */
export function urlsOf(options: UpOptions, ports: Ports): RunUrls {
  return {
    page: `http://127.0.0.1:${ports.page}/`,
    nats: options.natsUrl ?? `nats://127.0.0.1:${ports.nats}`,
    clickhouse: options.clickhouseUrl ?? `http://127.0.0.1:${ports.clickhouse}`,
    serving: `127.0.0.1:${ports.grpc}`,
  };
}

/** The processes of the pipeline, in the order in which they come up when nothing waits. */
export function pipelineSpecs(
  options: UpOptions,
  { ports, urls, data }: Place,
): readonly ChildSpec[] {
  const { nats: natsUrl, clickhouse: clickhouseUrl, serving: servingUrl } = urls;
  const specs: readonly (ChildSpec & { readonly isElsewhere?: boolean })[] = [
    {
      name: "nats",
      isElsewhere: options.natsUrl !== undefined,
      args: [
        "nats",
        ...flags({ port: ports.nats, data: data.root, natsServer: options.natsServer }),
      ],
    },
    {
      name: "clickhouse",
      isElsewhere: options.clickhouseUrl !== undefined,
      args: ["clickhouse", ...flags({ port: ports.clickhouse, data: data.clickhouse })],
    },
    {
      name: "serve",
      args: ["serve", ...flags({ port: ports.grpc, clickhouseUrl, models: options.models })],
    },
    {
      name: "insight",
      args: [
        "run",
        "insight",
        "leaders",
        ...flags({ natsUrl, clickhouseUrl, servingUrl, data: data.root }),
        ...flags({ prometheusPort: ports.prometheus }),
        ...flags({ checkpointIntervalMs: options.checkpointIntervalMs }),
      ],
    },
    {
      name: "scorecard",
      args: [
        "run",
        "scorecard",
        ...flags({ natsUrl, clickhouseUrl, data: data.root, models: options.models }),
      ],
    },
    {
      name: "dashboard",
      args: [
        "dashboard",
        ...flags({ port: ports.page, natsUrl, servingUrl, clickhouseUrl, models: options.models }),
        ...flags({ metricsUrl: `http://127.0.0.1:${String(ports.prometheus)}/metrics` }),
      ],
    },
  ];
  return specs.filter(({ isElsewhere }) => isElsewhere !== true);
}

export interface Place {
  readonly ports: Ports;
  readonly urls: RunUrls;
  readonly data: DataDirLayout;
}

export interface StartedPipeline {
  /** The broker and the store answer: what a replay needs. */
  readonly stores: Promise<unknown>;
  /** Everything is ready. Both reject with the ChildFailedError of the first that cannot start. */
  readonly everything: Promise<unknown>;
}

/** Starts all processes at once; each waits by itself for those it needs. */
export function startPipeline(
  supervisor: Supervisor,
  specs: readonly ChildSpec[],
): StartedPipeline {
  const starts = specs.map((spec) => ({ name: spec.name, ready: supervisor.start(spec) }));
  const stores = starts.filter(({ name }) => name === "nats" || name === "clickhouse");
  const pipeline = {
    stores: Promise.all(stores.map(async ({ ready }) => ready)),
    everything: Promise.all(starts.map(async ({ ready }) => ready)),
  };
  // A run that is stopped while it starts looks at neither any more.
  pipeline.stores.catch(() => {});
  pipeline.everything.catch(() => {});
  return pipeline;
}

/** The command that brings plays into the pipeline: a replay of the source, or the live feed. */
export function replaySpec(options: UpOptions, urls: RunUrls): ChildSpec {
  const { source, speed, games, concurrent, seed, teams, traceRate, disorder } = options;
  const { date, feedUrl } = options;
  const { nats: natsUrl, clickhouse: clickhouseUrl } = urls;
  if (source === LIVE) {
    const untilDone = options.untilDone ? ["--until-done"] : [];
    const where = flags({ date, games, feedUrl, natsUrl, clickhouseUrl });
    return { name: "live", args: ["live", ...where, ...untilDone] };
  }
  const told = flags({ source, speed, games, concurrent, seed, teams, traceRate, ...disorder });
  return { name: "replay", args: ["replay", ...told, ...flags({ natsUrl, clickhouseUrl })] };
}

/** Reads the last message of the replay. */
export function replayResult(message: ChildMessage): ReplayResult {
  const { games, finished, rows, plays, accounts, dead_letters: deadLetters } = message;
  if (
    !Array.isArray(games) ||
    typeof finished !== "number" ||
    typeof rows !== "number" ||
    typeof plays !== "number" ||
    typeof accounts !== "number" ||
    typeof deadLetters !== "number"
  ) {
    throw new TypeError(`the replay ended without its result: ${JSON.stringify(message)}`);
  }
  return { games: games.map(String), finished, rows, plays, accounts, deadLetters };
}

/** `{ natsUrl: "x" }` as `--nats-url=x`; what is undefined is left out. */
function flags(values: Readonly<Record<string, string | number | undefined>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    // In one argument, so that a value may begin with a dash.
    return value === undefined ? [] : [`--${flag}=${value}`];
  });
}
