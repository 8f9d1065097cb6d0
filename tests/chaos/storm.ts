import { setTimeout as delay } from "node:timers/promises";
import { type Random, seededRandom } from "../../base/random.ts";
import { FAULT_POINTS } from "./fault-points.ts";
import type { Cluster } from "./cluster.ts";
import type { Service } from "./service.ts";

export interface StormOptions {
  readonly kills: number;
  readonly seed: number;
  readonly leaseMs: number;
  /** Mean time between two disturbances. */
  readonly everyMs: number;
  readonly say: (text: string) => void;
}

/** What was done to the cluster. */
export interface StormReport {
  readonly done: ReadonlyMap<string, number>;
}

/**
 * Disturbs a running cluster `kills` times: ends processes by SIGKILL or SIGTERM, ends them at a named moment, and
 * freezes workers, some for longer than their lease. Who is ended comes back.
 */
export async function storm(cluster: Cluster, options: StormOptions): Promise<StormReport> {
  const random = seededRandom(options.seed);
  const done = new Map<string, number>();
  const frozen = new Set<Service>();
  const thaws: Promise<void>[] = [];
  let nextPoint = options.seed;
  const count = (what: string): void => {
    done.set(what, (done.get(what) ?? 0) + 1);
    options.say(
      `${String([...done.values()].reduce((a, b) => a + b, 0))}/${String(options.kills)} ${what}`,
    );
  };
  const worker = (): Service | undefined =>
    pick(
      random,
      cluster.workers.filter((each) => !frozen.has(each)),
    );
  for (let i = 0; i < options.kills; i += 1) {
    await delay(options.everyMs * (0.5 + random.next()));
    const draw = random.next();
    const victim = worker();
    if (victim === undefined || draw < 0.15) {
      const [what, service] = pick(random, [
        ["nats", cluster.nats],
        ["clickhouse", cluster.clickhouse],
        ["serve", cluster.serve],
      ] as const) ?? ["nats", cluster.nats];
      count(`kill ${what}`);
      await service.end("SIGKILL");
      await service.ready();
    } else if (draw < 0.35) {
      const point = FAULT_POINTS[nextPoint % FAULT_POINTS.length] ?? "";
      nextPoint += 1;
      count(`kill worker ${point}`);
      await victim.end("SIGKILL", { COURTSIDE_FAULT: `${point}:${String(1 + random.int(3))}` });
    } else if (draw < 0.5) {
      const forMs = options.leaseMs * (random.next() < 0.5 ? 0.3 : 1.6);
      count(forMs > options.leaseMs ? "freeze worker beyond its lease" : "freeze worker");
      victim.signal("SIGSTOP");
      frozen.add(victim);
      thaws.push(
        delay(forMs).then(() => {
          victim.signal("SIGCONT");
          frozen.delete(victim);
          return undefined;
        }),
      );
    } else if (draw < 0.6) {
      count("stop worker");
      await victim.end("SIGTERM");
    } else {
      count("kill worker");
      await victim.end("SIGKILL");
    }
  }
  await Promise.all(thaws);
  return { done };
}

function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[random.int(from.length)];
}
