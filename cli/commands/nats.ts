import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createRunDir, layoutOf } from "../../local/data-dir.ts";
import { findNatsServer } from "../../local/find-nats-server.ts";
import { startNatsServer } from "../../local/nats-server.ts";
import type { Command, CommandContext } from "../command.ts";
import { integerFlag, textFlag } from "../flags.ts";

const DEFAULT_PORT = "4222";

const HELP = `Examples:
  courtside nats
  courtside nats --port 0 --data ./my-run

Runs nats-server with JetStream on files, on 127.0.0.1, until it is stopped. Prints one JSON line when it
answers: {"ready":true,"service":"nats","port":4222}

  --port N             port to listen on, 0 for a free one (default ${DEFAULT_PORT})
  --data DIR           data directory; the store is in DIR/nats, the log in DIR/logs (default: a new one
                       under .courtside/runs)
  --nats-server PATH   binary to use; else the one on PATH or in .tools/, else it is installed into .tools/
`;

export const command: Command = {
  name: "nats",
  summary: "Run a local nats-server with JetStream",
  help: HELP,
  options: {
    port: { type: "string", default: DEFAULT_PORT },
    data: { type: "string" },
    "nats-server": { type: "string" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const port = integerFlag(context.values, "port", { min: 0, max: 65_535 }) ?? 0;
  const binary = await findNatsServer({
    explicitPath: textFlag(context.values, "nats-server"),
    say: (text) => {
      context.stderr(`${text}\n`);
    },
  });
  const data = layoutOf(textFlag(context.values, "data") ?? (await createRunDir()));
  await mkdir(data.logs, { recursive: true });
  const logFile = join(data.logs, "nats-server.log");
  const { signal } = context;
  const server = await startNatsServer({ binary, storeFolder: data.nats, logFile, port, signal });
  context.stderr(
    `nats-server ${binary.version} (${binary.path}) on ${server.url}, log ${logFile}\n`,
  );
  const ready = { ready: true, service: "nats", port: server.port, monitor_url: server.monitorUrl };
  context.stdout(`${JSON.stringify(ready)}\n`);
  const stopped = signal.aborted ? Promise.resolve() : once(signal, "abort");
  await Promise.race([stopped, server.exited]);
  await server.stop();
  if (signal.aborted) return 0;
  context.stderr(`nats-server ended by itself; see ${logFile}\n`);
  return 1;
}
