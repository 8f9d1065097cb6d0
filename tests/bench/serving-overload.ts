/**
 * The scoring server under three times of what it can do, and while its model changes: `node
 * tests/bench/serving-overload.ts [--quick]`. The callers use `serving/client.ts` and start calls at a fixed rate
 * whatever becomes of those before.
 */
import { loadServer } from "./serving-phases.ts";

const isQuick = process.argv.includes("--quick");
const report = await loadServer(
  isQuick
    ? { capacityMs: 2_000, swapMs: 3_000, overloadMs: 6_000, afterMs: 3_000 }
    : { capacityMs: 4_000, swapMs: 10_000, overloadMs: 60_000, afterMs: 5_000 },
);
const { capacityPerS, overload } = report;
const goodput = Number((overload.answeredPerS / capacityPerS).toFixed(2));
process.stdout.write(`${JSON.stringify({ ...report, goodput_of_capacity: goodput }, null, 2)}\n`);
