/** Load on a scoring server that is too much for it, or during which its model changes; for benchmark and test. */
import {
  connectPredict,
  PredictRejectedError,
  PredictThrottledError,
} from "../../serving/client.ts";
import { promote } from "../../serving/model/aliases.ts";
import { type ModelCard } from "../../serving/model/card.ts";
import { handMadeModel, temporaryModels } from "../support/models.ts";
import { closedLoop, openLoop, quantile, startServer, stateRequest } from "./serving-load.ts";

/** How calls of one phase ended. */
export interface Phase {
  readonly calls: number;
  readonly answered: number;
  /** By the server or, on its behalf, by the client. */
  readonly refused: number;
  readonly failed: number;
  readonly answeredPerS: number;
  readonly answeredMsP50: number;
  readonly answeredMsP99: number;
  readonly refusedMsP99: number;
}

export interface LoadTimes {
  readonly capacityMs: number;
  readonly swapMs: number;
  readonly overloadMs: number;
  readonly afterMs: number;
}

export interface LoadReport {
  /** Calls a second that the server answers when it always has 64 to answer. */
  readonly capacityPerS: number;
  /** Sixteen calls at any time, while the champion changes again and again. */
  readonly swapping: Phase & { readonly swaps: number; readonly versionsSeen: number };
  /** Three times of it. */
  readonly overload: Phase;
  /** Sixteen calls at any time, right behind the overload. */
  readonly after: Phase;
}

const CONCURRENCY = 64;
/** Calls at any time of a load that is no trouble. */
const STEADY = 16;
/** Longer than the server's look at the folder, so that it sees every change. */
const SWAP_EVERY_MS = 1_300;
const DEADLINE = { deadlineMs: 2_000 };

/** Everything on one server of its own, with two models that take turns. */
export async function loadServer(times: LoadTimes): Promise<LoadReport> {
  const models = await temporaryModels();
  const versions = [handMadeModel(0.5), handMadeModel()];
  const cards: ModelCard[] = [];
  for (const model of versions) cards.push(await models.add(model));
  const server = await startServer(models.folder);
  const client = connectPredict(server.address);
  const request = stateRequest();
  const seen = new Set<string>();
  const ask = async (): Promise<void> => {
    const { prediction } = await client.predict(request, DEADLINE);
    seen.add(prediction.modelVersion);
  };
  try {
    await closedLoop(ask, CONCURRENCY, times.capacityMs);
    const capacityPerS = await closedLoop(ask, CONCURRENCY, times.capacityMs);
    seen.clear();
    let swaps = 0;
    const swapper = setInterval(() => {
      swaps += 1;
      void promote(models.folder, "champion", cards[swaps % cards.length]?.version ?? "");
    }, SWAP_EVERY_MS);
    const swapping = await phase(ask, (call) => closedLoop(call, STEADY, times.swapMs));
    clearInterval(swapper);
    const versionsSeen = seen.size;
    const overload = await phase(ask, (call) => openLoop(call, capacityPerS * 3, times.overloadMs));
    const after = await phase(ask, (call) => closedLoop(call, STEADY, times.afterMs));
    return { capacityPerS, swapping: { ...swapping, swaps, versionsSeen }, overload, after };
  } finally {
    client.close();
    await server.stop();
    await models.remove();
  }
}

async function phase(
  ask: () => Promise<void>,
  load: (call: () => Promise<void>) => Promise<unknown>,
): Promise<Phase> {
  const answered: number[] = [];
  const refused: number[] = [];
  let failed = 0;
  let calls = 0;
  const startMs = performance.now();
  await load(async () => {
    calls += 1;
    const callMs = performance.now();
    try {
      await ask();
      answered.push(performance.now() - callMs);
    } catch (error) {
      if (isRefusal(error)) refused.push(performance.now() - callMs);
      else failed += 1;
    }
  });
  return {
    calls,
    answered: answered.length,
    refused: refused.length,
    failed,
    answeredPerS: Math.round((answered.length / (performance.now() - startMs)) * 1_000),
    answeredMsP50: quantile(answered, 0.5),
    answeredMsP99: quantile(answered, 0.99),
    refusedMsP99: quantile(refused, 0.99),
  };
}

function isRefusal(error: unknown): boolean {
  if (error instanceof PredictThrottledError) return true;
  return error instanceof PredictRejectedError && error.status === "RESOURCE_EXHAUSTED";
}
