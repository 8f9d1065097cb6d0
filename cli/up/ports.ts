import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import type { CommandContext } from "../command.ts";
import { integerFlag } from "../flags.ts";

const HOST = "127.0.0.1";
const PORT_RANGE = { min: 0, max: 65_535 };

/** Who listens, by which flag the port is chosen and which one it is when nothing is said. */
const SERVICES = [
  { key: "page", what: "the live page", flag: "port", port: 8080 },
  { key: "nats", what: "NATS", flag: "nats-port", port: 4222 },
  { key: "clickhouse", what: "ClickHouse over HTTP", flag: "clickhouse-port", port: 8123 },
  { key: "grpc", what: "gRPC", flag: "grpc-port", port: 50_051 },
  { key: "prometheus", what: "Prometheus metrics", flag: "prometheus-port", port: 9464 },
] as const;

type Service = (typeof SERVICES)[number];
export type ServiceKey = Service["key"];
export type Ports = Readonly<Record<ServiceKey, number>>;

/** A port that is wanted belongs to somebody else. */
export class PortInUseError extends CourtsideError {
  override readonly code = "PORT_IN_USE";
  override readonly retryable = true;
  readonly port: number;

  constructor(port: number, what: string, flag: string) {
    super(
      `port ${port} for ${what} is in use; choose another with --${flag} N, ` +
        "or let free ones be picked for everything with --port-base 0",
    );
    this.port = port;
  }
}

/**
 * Ports by flag, else counted from `--port-base`, else the usual ones; 0 picks a free one. All of them are free
 * when this returns.
 *
 * @param wanted - services that will be started; ports of the others are not looked at.
 * @throws PortInUseError, UsageError
 */
export async function choosePorts(
  values: CommandContext["values"],
  wanted: readonly ServiceKey[],
): Promise<Ports> {
  const base = integerFlag(values, "port-base", { min: 0, max: 65_535 - SERVICES.length });
  const ports: Record<ServiceKey, number> = {
    page: 0,
    nats: 0,
    clickhouse: 0,
    grpc: 0,
    prometheus: 0,
  };
  const held: Server[] = [];
  try {
    for (const [index, service] of SERVICES.entries()) {
      if (!wanted.includes(service.key)) continue;
      const counted = base === undefined ? service.port : base === 0 ? 0 : base + index;
      const port = integerFlag(values, service.flag, PORT_RANGE) ?? counted;
      refuseSecondUse(ports, service, port);
      // Held until all are chosen, so that no two get the same free one.
      const server = await listen(service, port);
      held.push(server);
      ports[service.key] = (server.address() as AddressInfo).port;
    }
    return ports;
  } finally {
    await Promise.all(held.map(close));
  }
}

function refuseSecondUse(ports: Ports, service: Service, port: number): void {
  if (port === 0) return;
  const other = SERVICES.find(({ key }) => ports[key] === port);
  if (other === undefined) return;
  throw new UsageError(
    `--${service.flag} and --${other.flag} are both ${port}; every service needs a port of its own`,
  );
}

async function listen({ what, flag }: Service, port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EADDRINUSE") throw new PortInUseError(port, what, flag);
    if (code === "EACCES") {
      throw new UsageError(
        `port ${port} for ${what} may not be used; choose another with --${flag}`,
      );
    }
    throw error;
  }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
}
