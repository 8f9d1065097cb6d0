import { access } from "node:fs/promises";
import { resolve } from "node:path";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import type { CommandContext } from "../command.ts";
import { DISORDER_FLAGS, readDisorder } from "../disorder-flags.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { readLiveFlags } from "../live-flags.ts";

/** Games of a demonstration: a busy evening, and enough to look at side by side. */
const DEFAULT_SYNTHETIC_GAMES = "24";
/** Times as fast as the games were: a game passes in under five minutes, and the curve moves every second. */
const DEFAULT_SPEED = "30";
const SYNTHETIC = "synthetic";
/** Source that is the league's own feed. */
export const LIVE = "live";

/** What `up` was asked for. */
export interface UpOptions {
  readonly source: string;
  /** Number of games, or undefined for all of them. */
  readonly games: string | undefined;
  /** A factor, or `max`. */
  readonly speed: string;
  /** Games side by side. */
  readonly concurrent: string | undefined;
  readonly seed: string | undefined;
  /** Teams of the generated season. */
  readonly teams: string | undefined;
  readonly traceRate: string | undefined;
  /** Flags of `replay` that make the feed careless, by their names there. */
  readonly disorder: Readonly<Record<string, string | undefined>>;
  /** Evening of the live feed. */
  readonly date: string | undefined;
  /** Where the live feed is, when it is not the league's. */
  readonly feedUrl: string | undefined;
  readonly untilDone: boolean;
  readonly json: boolean;
  readonly data: string | undefined;
  /** A broker that runs already; none is started then. */
  readonly natsUrl: string | undefined;
  /** A ClickHouse that runs already; none is started then. */
  readonly clickhouseUrl: string | undefined;
  readonly natsServer: string | undefined;
  readonly models: string | undefined;
  readonly checkpointIntervalMs: string | undefined;
  /** Whether a browser may be opened. */
  readonly open: boolean;
}

/** The season that was named is not there. */
export class SourceMissingError extends CourtsideError {
  override readonly code = "SOURCE_MISSING";
  override readonly retryable = false;

  constructor(source: string, options?: ErrorOptions) {
    super(
      `there is no season file or folder at ${resolve(source)}; ` +
        `give one with --source PATH, or --source ${SYNTHETIC} for a generated season`,
      options,
    );
  }
}

/** Reads and checks the flags of `up`. @throws UsageError, SourceMissingError */
export async function readUpOptions({ values, positionals }: CommandContext): Promise<UpOptions> {
  const [surplus] = positionals;
  if (surplus !== undefined) {
    throw new UsageError(`up takes no "${surplus}"; a season is named with --source ${surplus}`);
  }
  const source = textFlag(values, "source") ?? SYNTHETIC;
  const untilDone = values["until-done"] === true;
  checkSpeed(textFlag(values, "speed"));
  integerFlag(values, "concurrent", { min: 1, max: 1_000_000 });
  if (source !== LIVE) integerFlag(values, "games", { min: 1, max: 1_000_000 });
  integerFlag(values, "seed", { min: 0, max: 2 ** 32 - 1 });
  integerFlag(values, "teams", { min: 2, max: 20_000 });
  checkRate(textFlag(values, "trace-rate"));
  const disorder = readDisorder(values);
  if (source === LIVE) checkLive(values);
  else if (source !== SYNTHETIC) await checkThere(source);
  return {
    source,
    games:
      textFlag(values, "games") ?? (source === SYNTHETIC ? DEFAULT_SYNTHETIC_GAMES : undefined),
    // Who waits for the end does not want to watch.
    speed: textFlag(values, "speed") ?? (untilDone ? "max" : DEFAULT_SPEED),
    concurrent: textFlag(values, "concurrent"),
    seed: textFlag(values, "seed"),
    teams: textFlag(values, "teams"),
    traceRate: textFlag(values, "trace-rate"),
    disorder,
    date: textFlag(values, "date"),
    feedUrl: textFlag(values, "feed-url"),
    untilDone,
    json: values["json"] === true,
    data: textFlag(values, "data"),
    natsUrl: textFlag(values, "nats-url"),
    clickhouseUrl: textFlag(values, "clickhouse-url"),
    natsServer: textFlag(values, "nats-server"),
    models: textFlag(values, "models"),
    checkpointIntervalMs: textFlag(values, "checkpoint-interval-ms"),
    open: values["open"] !== false,
  };
}

/** What only a recording has. */
const REPLAY_FLAGS = ["speed", "concurrent", "seed", "teams", ...DISORDER_FLAGS];

function checkLive(values: CommandContext["values"]): void {
  readLiveFlags(values);
  const surplus = REPLAY_FLAGS.find((name) => values[name] !== undefined);
  if (surplus !== undefined)
    throw new UsageError(`--${surplus} is for recorded and generated games, not for --source live`);
}

function checkSpeed(speed: string | undefined): void {
  if (speed === undefined || speed === "max" || Number(speed) > 0) return;
  throw new UsageError(`--speed must be a factor above 0 or "max", not "${speed}"`);
}

function checkRate(rate: string | undefined): void {
  if (rate === undefined || (Number(rate) >= 0 && Number(rate) <= 1)) return;
  throw new UsageError(`--trace-rate must be a share from 0 to 1, not "${rate}"`);
}

async function checkThere(source: string): Promise<void> {
  try {
    await access(source);
  } catch (error) {
    throw new SourceMissingError(source, { cause: error });
  }
}
