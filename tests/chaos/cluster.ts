import { once } from "node:events";
import { spawn } from "node:child_process";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { connect } from "node:net";
import { join } from "node:path";
import { ROOT } from "../support/courtside.ts";
import { freePorts } from "../support/ports.ts";
import { Service } from "./service.ts";

const MAIN = join(ROOT, "cli/main.ts");

export interface ClusterOptions {
  readonly workers: number;
  readonly regions?: number;
  readonly leaseMs: number;
  /** More flags of `run insight`. */
  readonly flags?: readonly string[];
}

/** Broker, store, model server and insight workers, each a process of its own. */
export class Cluster {
  readonly folder: string;
  readonly natsUrl: string;
  readonly clickhouseUrl: string;
  readonly servingUrl: string;
  readonly nats: Service;
  readonly clickhouse: Service;
  readonly serve: Service;
  readonly workers: Service[] = [];
  readonly #options: ClusterOptions;
  #made = 0;

  private constructor(folder: string, ports: readonly number[], options: ClusterOptions) {
    const [nats = 0, clickhouse = 0, serve = 0] = ports;
    this.folder = folder;
    this.#options = options;
    this.natsUrl = `nats://127.0.0.1:${String(nats)}`;
    this.clickhouseUrl = `http://127.0.0.1:${String(clickhouse)}`;
    this.servingUrl = `127.0.0.1:${String(serve)}`;
    const binary = process.env["COURTSIDE_NATS_SERVER"] ?? "nats-server";
    const store = join(folder, "nats");
    this.nats = new Service(
      {
        name: "nats",
        program: binary,
        args: ["-a", "127.0.0.1", "-p", String(nats), "-js", "-sd", store, "-P", `${store}.pid`],
        isReady: async () => accepts(nats),
      },
      folder,
    );
    const own = (name: string, ...args: string[]): Service =>
      new Service({ name, program: process.execPath, args: [MAIN, ...args] }, folder);
    this.clickhouse = own(
      "clickhouse",
      "clickhouse",
      `--port=${String(clickhouse)}`,
      `--data=${join(folder, "clickhouse")}`,
    );
    this.serve = own("serve", "serve", `--port=${String(serve)}`);
    for (; this.#made < options.workers; this.#made += 1)
      this.workers.push(this.#worker(this.#made, options.regions));
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), "courtside-chaos-"));
    await mkdir(join(folder, "checkpoints"));
    const ports = await freePorts(3);
    const cluster = new Cluster(folder, ports, options);
    await Promise.all([cluster.nats.start(), cluster.clickhouse.start(), cluster.serve.start()]);
    await Promise.all(cluster.workers.map(async (worker) => worker.start()));
    return cluster;
  }

  /** Starts one worker more, in as many regions as the job has by now. */
  async addWorker(): Promise<Service> {
    this.#made += 1;
    const worker = this.#worker(this.#made, undefined);
    this.workers.push(worker);
    await worker.start();
    return worker;
  }

  /** Runs a command to its end. @throws when it fails. */
  async command(...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0)
      throw new Error(`courtside ${args.join(" ")} ended with ${String(code)}:\n${stderr}`);
    return stdout;
  }

  /** Publishes a season, to its end; goes on by itself when the broker is killed. */
  async replay(flags: readonly string[]): Promise<ReplayCounts> {
    const stdout = await this.command("replay", "--json", `--nats-url=${this.natsUrl}`, ...flags);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as ReplayCounts;
  }

  async stop(keep = false): Promise<void> {
    await Promise.all(this.workers.map(async (worker) => worker.stop()));
    await Promise.all([this.serve.stop(), this.clickhouse.stop(), this.nats.stop("SIGINT")]);
    if (!keep) await rm(this.folder, { recursive: true, force: true });
  }

  #worker(index: number, regions: number | undefined): Service {
    const { leaseMs, flags = [] } = this.#options;
    const args = [MAIN, "run", "insight", "leaders", "--checkpoint-interval-ms=300", ...flags];
    args.push(`--nats-url=${this.natsUrl}`, `--clickhouse-url=${this.clickhouseUrl}`);
    args.push(`--serving-url=${this.servingUrl}`, `--lease-ms=${String(leaseMs)}`);
    args.push(`--checkpoints=${join(this.folder, "checkpoints")}`);
    if (regions !== undefined) args.push(`--regions=${String(regions)}`);
    const name = `worker-${String(index)}`;
    return new Service({ name, program: process.execPath, args }, this.folder);
  }
}

/** What the replay says at its end. */
export interface ReplayCounts {
  readonly games: readonly string[];
  readonly finished: number;
  readonly plays: number;
  readonly dead_letters: number;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    // The server speaks first.
    const [chunk] = (await once(socket, "data")) as [Buffer];
    return chunk.toString().startsWith("INFO");
  } finally {
    socket.destroy();
  }
}
