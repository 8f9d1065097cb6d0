import { type SecureContextOptions } from "node:tls";
import { type IncomingMessage, type ServerResponse } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { silentLog, type Log } from "../../base/log.ts";
import { type TokenCheck } from "../guard.ts";
import { type Admission } from "../limits.ts";
import { type Tls } from "../tls.ts";
import { HttpRequestError, toHttpError } from "./errors.ts";
import { errorJson } from "./json.ts";
import {
  addPredictRoutes,
  isLineType,
  MAX_BODY_BYTES,
  parseJson,
  PREDICT_PATHS,
  STREAM_PATH,
  type PredictBackend,
} from "./predict-routes.ts";

export interface HttpAppOptions {
  readonly backend: PredictBackend;
  readonly log?: Log;
  readonly tokens?: TokenCheck | undefined;
  readonly admission?: Admission | undefined;
  readonly tls?: Tls | undefined;
  /** Time for a caller to send its header, and then its body, milliseconds. */
  readonly headerDeadlineMs?: number | undefined;
  readonly bodyDeadlineMs?: number | undefined;
}

/** A caller that needs longer for a header of a few hundred bytes, or a body of 256 KB, keeps a socket from others. */
const HEADER_DEADLINE_MS = 10_000;
const BODY_DEADLINE_MS = 10_000;
/** How often sockets are looked at for the above. */
const DEADLINE_CHECKS = 5;
/** Sockets at once; more are refused by the system's queue. */
const MAX_CONNECTIONS = 4_096;
/** Anybody may ask for these: probes and scrapers know no tokens, and what a server offers is no secret. */
const OPEN_PATHS = /^\/(?:healthz|readyz|metrics|openapi\.json|docs)(?:$|[/?])/u;

/** HTTP in front of the scoring service, without routes but those for predictions. It listens nowhere yet. */
export function createHttpApp(options: HttpAppOptions): FastifyInstance {
  const { backend, log = silentLog, tls } = options;
  const { headerDeadlineMs = HEADER_DEADLINE_MS, bodyDeadlineMs = BODY_DEADLINE_MS } = options;
  const timing = {
    headersTimeout: headerDeadlineMs,
    // The body has a deadline of its own: a stream of states is a body that goes on for hours.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.ceil(headerDeadlineMs / DEADLINE_CHECKS),
  };
  const common = { bodyLimit: MAX_BODY_BYTES, requestTimeout: 0, exposeHeadRoutes: false };
  const app = (
    tls === undefined
      ? Fastify({ ...common, http: timing })
      : Fastify({ ...common, https: { ...timing, ...httpsOptions(tls.context()) } })
  ) as FastifyInstance;
  app.server.maxConnections = MAX_CONNECTIONS;
  tls?.onChange((context) => {
    if ("setSecureContext" in app.server) {
      (app.server as { setSecureContext(context: SecureContextOptions): void }).setSecureContext(
        context,
      );
    }
  });
  readBodies(app, bodyDeadlineMs);
  admit(app, options);
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.setNotFoundHandler(notFound);
  addPredictRoutes(app, backend, log);
  return app;
}

/** With a CA, a caller must have a certificate that it signed. */
function httpsOptions(context: SecureContextOptions) {
  const isMutual = context.ca !== undefined;
  return { ...context, requestCert: isMutual, rejectUnauthorized: isMutual };
}

function readBodies(app: FastifyInstance, deadlineMs: number): void {
  app.removeAllContentTypeParsers();
  const parse = (request: FastifyRequest, body: Buffer): unknown => {
    const type = (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim();
    if (type?.toLowerCase() === "application/json") return parseJson(utf8(body));
    const message = `content-type must be application/json; got ${JSON.stringify(type)}`;
    throw new HttpRequestError(415, "UNSUPPORTED_MEDIA_TYPE", message);
  };
  app.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => {
    try {
      done(null, parse(request, body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  // The stream's route reads its body itself.
  app.addContentTypeParser(/^application\/(?:x-ndjson|jsonl)/u, (request, _, done) => {
    const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
    const isStream = request.routeOptions.url === STREAM_PATH && isLineType(type);
    if (isStream) return done(null, undefined);
    const message = `content-type must be application/json; ${type} goes to ${STREAM_PATH}`;
    return done(new HttpRequestError(415, "UNSUPPORTED_MEDIA_TYPE", message));
  });
  const timers = new WeakMap<IncomingMessage, NodeJS.Timeout>();
  app.addHook("onRequest", (request, reply, done) => {
    const { raw } = request;
    if (request.routeOptions.url === STREAM_PATH) {
      const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
      if (isLineType(type)) return done();
      const message = `content-type must be application/x-ndjson; got ${JSON.stringify(type)}`;
      return done(new HttpRequestError(415, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    const timer = setTimeout(() => tooSlow(reply.raw, deadlineMs), deadlineMs);
    timer.unref();
    timers.set(raw, timer);
    return done();
  });
  app.addHook("preHandler", (request, _, done) => {
    clearTimeout(timers.get(request.raw));
    done();
  });
  app.addHook("onResponse", (request, _, done) => {
    clearTimeout(timers.get(request.raw));
    done();
  });
}

/** The answer goes straight to the socket: the framework still waits for the body. */
function tooSlow(response: ServerResponse, deadlineMs: number): void {
  if (response.headersSent || response.destroyed) return;
  const message = `the body must be complete within ${deadlineMs} ms`;
  const body = `${JSON.stringify(errorJson({ httpStatus: 408, code: "BODY_TOO_SLOW", message }))}\n`;
  response.writeHead(408, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    connection: "close",
  });
  response.end(body, () => response.destroy());
}

const strict = new TextDecoder("utf-8", { fatal: true });

function utf8(body: Buffer): string {
  try {
    return strict.decode(body);
  } catch (error) {
    throw new HttpRequestError(400, "INVALID_UTF8", "the body must be UTF-8", { cause: error });
  }
}

/** Token and limits are checked before a body is read. */
function admit(app: FastifyInstance, { tokens, admission }: HttpAppOptions): void {
  app.addHook("onRequest", (request, reply, done) => {
    if (OPEN_PATHS.test(request.url)) return done();
    try {
      tokens?.check(request.headers.authorization);
      const leave = admission?.enter(request.ip);
      if (leave !== undefined) reply.raw.once("close", leave);
    } catch (error) {
      return done(error as Error);
    }
    return done();
  });
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): void {
  const told = toHttpError(error, request.routeOptions.bodyLimit);
  if (told.httpStatus === 500) log.error("call failed", error, { method: request.url });
  if (told.retryAfterMs !== undefined) {
    void reply.header("retry-after", String(Math.ceil(told.retryAfterMs / 1_000)));
  }
  if (told.httpStatus === 401) void reply.header("www-authenticate", "Bearer");
  // The rest of a body that was not read would be taken for the next request.
  if (told.httpStatus === 413) void reply.header("connection", "close");
  void reply.code(told.httpStatus).header("cache-control", "no-store").send(errorJson(told));
}

const POST_ONLY: ReadonlySet<string> = new Set([...PREDICT_PATHS, STREAM_PATH]);

function notFound(request: FastifyRequest, reply: FastifyReply): void {
  const path = request.url.split("?")[0] ?? "";
  if (POST_ONLY.has(path)) {
    const message = `${request.method} is not supported; send a game state with POST`;
    const told = { httpStatus: 405, code: "METHOD_NOT_ALLOWED", message };
    void reply.code(405).header("allow", "POST").send(errorJson(told));
    return;
  }
  const message = `there is nothing at ${JSON.stringify(path.slice(0, 100))}; see /docs`;
  void reply.code(404).send(errorJson({ httpStatus: 404, code: "NOT_FOUND", message }));
}
