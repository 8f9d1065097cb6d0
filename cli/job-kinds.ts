import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../base/errors.ts";
import { ensureEdgeStream } from "../connectors/nats-edge.ts";
import { INSIGHT_REGIONS, type InsightOptions, insightRegions } from "../jobs/insight/run.ts";
import { LEADERS_REGIONS, leadersRegions } from "../jobs/leaders/run.ts";
import { Judge } from "../jobs/scorecard/judge.ts";
import { Parity } from "../jobs/scorecard/parity.ts";
import type { DriftReference } from "../jobs/scorecard/reference.ts";
import { SCORECARD_REGIONS, scorecardRegions } from "../jobs/scorecard/run.ts";
import { EDGES_STREAM, EDGES_SUBJECTS } from "../proto/subjects.ts";
import { connectPredict } from "../serving/client.ts";
import { parseCard } from "../serving/model/card.ts";
import type { CommandContext } from "./command.ts";
import { textFlag } from "./flags.ts";

/** Models that come with the program. */
const SHIPPED_MODELS = join(import.meta.dirname, "../serving/models");
/** The model server may be starting at the same time; it needs a second or two. */
const PREDICT_START_WAIT_MS = 30_000;

/** Every job that `courtside run` knows. */
export const JOB_KINDS: Readonly<Record<string, JobKind>> = {
  insight: {
    regions: INSIGHT_REGIONS,
    make: async (parts, values) => insightJob(parts, String(values["serving-url"])),
  },
  scorecard: { regions: SCORECARD_REGIONS, make: scorecardJob },
  leaders: {
    regions: LEADERS_REGIONS,
    hasFixedRegions: true,
    make: async (parts) => {
      await ensureEdgeStream(parts.nats, EDGES_STREAM, EDGES_SUBJECTS);
      return { makeRegion: leadersRegions(parts), close: () => Promise.resolve() };
    },
  },
};

/** A job as far as it differs from the others. */
export interface JobKind {
  /** Regions at the job's first start, unless told otherwise. */
  readonly regions: number;
  /** True when no other number makes sense. */
  readonly hasFixedRegions?: boolean;
  /** @throws UsageError */
  make(parts: Parts, values: CommandContext["values"], signal: AbortSignal): Promise<MadeJob>;
}

/** What jobs are made of; the caller closes it behind them. */
export type Parts = Omit<InsightOptions, "predictor">;

/** A job that is ready to run regions. */
export interface MadeJob {
  readonly makeRegion: ReturnType<typeof insightRegions>;
  close(): Promise<void>;
}

async function insightJob(parts: Parts, servingUrl: string): Promise<MadeJob> {
  const predictor = connectPredict(servingUrl, { tracing: parts.tracing });
  await predictor.waitReady(PREDICT_START_WAIT_MS);
  return {
    makeRegion: insightRegions({ ...parts, predictor }),
    close: () => {
      predictor.close();
      return Promise.resolve();
    },
  };
}

async function scorecardJob(
  parts: Parts,
  values: CommandContext["values"],
  signal: AbortSignal,
): Promise<MadeJob> {
  const { clickHouse, nats, metrics, log } = parts;
  const share = Number(values["parity-share"]);
  if (!(share >= 0 && share <= 1))
    throw new UsageError("--parity-share must be a share from 0 to 1");
  const reference = await driftReference(textFlag(values, "models"));
  if (reference === undefined)
    log.warn("no_drift_reference", { models: textFlag(values, "models") });
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const beside = Promise.all([
    new Judge(clickHouse, metrics, log).run(until),
    new Parity(clickHouse, nats, log, share).run(until),
  ]);
  return {
    makeRegion: scorecardRegions({ ...parts, reference }),
    close: async () => {
      ended.abort();
      await beside;
    },
  };
}

/** From the card of the champion; undefined when it tells none. */
async function driftReference(models: string | undefined): Promise<DriftReference | undefined> {
  const folder = models ?? SHIPPED_MODELS;
  const version = (await readFile(join(folder, "champion"), "utf8")).trim();
  const path = join(folder, version, "card.json");
  const { histograms, schemaHash, features } = parseCard(await readFile(path, "utf8"), path);
  if (histograms === undefined) return undefined;
  return {
    schemaHash,
    histograms: histograms.map(({ feature, edges, shares }) => ({
      feature,
      edges,
      shares,
      index: features.findIndex(({ name }) => name === feature),
    })),
  };
}
