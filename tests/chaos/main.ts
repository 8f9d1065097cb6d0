/** `npm run test:chaos -- --kills N --seed S [--seeds N] [--games N] [--workers N] [--lease-ms N]` */
import { parseArgs } from "node:util";
import { calmContents, chaos } from "./run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "25" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    games: { type: "string", default: "8" },
    workers: { type: "string", default: "3" },
    "lease-ms": { type: "string", default: "2000" },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const games = Number(values.games);
say(`undisturbed run of ${String(games)} games`);
const calm = await calmContents(games);
let failed = 0;
for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed += 1) {
  const startMs = performance.now();
  const report = await chaos(calm, {
    kills: Number(values.kills),
    seed,
    games,
    workers: Number(values.workers),
    leaseMs: Number(values["lease-ms"]),
    say,
  });
  if (report.differences.length > 0) failed += 1;
  for (const difference of report.differences) say(difference);
  const line = {
    ok: report.differences.length === 0,
    seed,
    kills: Object.fromEntries(report.storm.done),
    plays: report.plays,
    wall_s: Math.round((performance.now() - startMs) / 100) / 10,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;
