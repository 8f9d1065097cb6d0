import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT } from "../support/courtside.ts";

/** A start on two busy cores, with everything else being killed around it. */
const READY_LIMIT_MS = 60_000;
const RESTART_WAIT_MS = 50;

export interface ServiceSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Resolves when it answers; default: it says `"ready":true`. */
  readonly isReady?: () => Promise<boolean>;
}

/** A process that is started again whenever it ends, as an orchestrator does it. */
export class Service {
  readonly spec: ServiceSpec;
  readonly #log: string;
  readonly #stopping = new AbortController();
  #process: ChildProcess | undefined;
  #kept: Promise<void> = Promise.resolve();
  #nextEnvironment: NodeJS.ProcessEnv = {};
  #output = "";
  starts = 0;

  constructor(spec: ServiceSpec, logFolder: string) {
    this.spec = spec;
    this.#log = join(logFolder, `${spec.name}.log`);
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    this.#kept = this.#keep();
    await this.ready();
  }

  async ready(): Promise<void> {
    const untilMs = performance.now() + READY_LIMIT_MS;
    for (;;) {
      const isReady =
        this.spec.isReady ?? (() => Promise.resolve(/"ready":true/.test(this.#output)));
      if (await isReady().catch(() => false)) return;
      if (performance.now() > untilMs)
        throw new Error(`${this.spec.name} is not ready: ${this.#log}`);
      await delay(20);
    }
  }

  /** Sends a signal to the process that runs now. */
  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Ends it; it comes back by itself, with this environment added once. */
  async end(name: NodeJS.Signals, environment: NodeJS.ProcessEnv = {}): Promise<void> {
    this.#nextEnvironment = environment;
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const gone = once(running, "exit");
    running.kill(name);
    // One that is stopped hears nothing else.
    if (name !== "SIGKILL") running.kill("SIGCONT");
    await gone;
  }

  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#stopping.abort();
    const force = setTimeout(() => this.#process?.kill("SIGKILL"), 10_000);
    await this.end(name);
    await this.#kept;
    clearTimeout(force);
  }

  async #keep(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const { program, args } = this.spec;
      this.starts += 1;
      this.#output = "";
      const child = spawn(program, [...args], {
        cwd: ROOT,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...this.#nextEnvironment },
      });
      this.#nextEnvironment = {};
      this.#process = child;
      const file = createWriteStream(this.#log, { flags: "a" });
      child.stdout.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
      child.stderr.pipe(file);
      await once(child, "exit");
      file.end();
      await delay(RESTART_WAIT_MS);
    }
  }
}
