import { UsageError } from "./errors.ts";

/** What a client of the broker needs to know; the members are those of the NATS client's own options. */
export interface NatsServers {
  readonly servers: string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
}

/**
 * Servers and credentials of a broker's address, which the NATS client does not take apart itself: one URL, or several
 * of a cluster separated by commas; user and password, or a token alone, stand before the `@` of the first that has one,
 * percent-encoded where they hold special characters.
 *
 * @param url - for example `nats://127.0.0.1:4222` or `nats://insight:secret@nats-0:4222,nats-1:4222`.
 * @throws UsageError for what is no address; the message never holds a password.
 */
export function natsServersOf(url: string): NatsServers {
  const parts = url
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(parse);
  if (parts.length === 0) throw new UsageError("--nats-url is empty; give nats://HOST:PORT");
  const login = parts.find(({ username }) => username !== "");
  const servers = parts.map(({ protocol, host }) => `${protocol}//${host}`);
  if (login === undefined) return { servers };
  const name = decodeURIComponent(login.username);
  if (login.password === "") return { servers, token: name };
  return { servers, user: name, pass: decodeURIComponent(login.password) };
}

/** The address as it may be shown: without credentials. */
export function withoutCredentials(url: string): string {
  return natsServersOf(url).servers.join(",");
}

function parse(part: string): URL {
  const text = part.includes("://") ? part : `nats://${part}`;
  const problem = `--nats-url has "${text.replace(/\/\/.*@/, "//")}", which is no address; write nats://HOST:PORT`;
  if (!URL.canParse(text)) throw new UsageError(problem);
  const url = new URL(text);
  if (!["nats:", "tls:"].includes(url.protocol) || url.host === "") throw new UsageError(problem);
  return url;
}
