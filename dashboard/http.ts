import { createHash } from "node:crypto";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { CourtsideError } from "../base/errors.ts";

/** No inline code, nothing from elsewhere, no frames: hostile feed text has nothing to hook into. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/** Below this the header of a compressed answer costs what it saves. */
const MIN_GZIP_BYTES = 1_024;
const compress = promisify(gzip);

/** A request that cannot be answered as asked; its text is for the person at the page. */
export class HttpError extends CourtsideError {
  override readonly code: string;
  override readonly retryable: boolean;
  readonly status: number;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.retryable = status >= 500;
  }
}

/** Something to send, with the name by which a browser asks whether it still is the same. */
export interface Body {
  readonly bytes: Buffer;
  /** Made when the first browser wants it. */
  zipped?: Buffer;
  readonly etag: string;
  readonly type: string;
}

export function bodyOf(bytes: Buffer, type: string): Body {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  return { bytes, etag, type };
}

export function jsonBody(value: unknown): Body {
  return bodyOf(Buffer.from(JSON.stringify(value)), "application/json; charset=utf-8");
}

/**
 * Answers with 304 when the browser has it already, compressed when it may and it is worth it.
 * @param cacheControl - `no-cache` lets the browser keep it and ask; only what has its hash in its name is `immutable`.
 */
export async function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Body,
  cacheControl = "no-cache",
): Promise<void> {
  const headers: Record<string, string | number> = {
    ...SECURITY_HEADERS,
    "content-type": body.type,
    "cache-control": cacheControl,
    etag: body.etag,
    vary: "accept-encoding",
  };
  if (namesEtag(request.headers["if-none-match"], body.etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  let { bytes } = body;
  const isZipped =
    bytes.length >= MIN_GZIP_BYTES &&
    /\bgzip\b/u.test(request.headers["accept-encoding"]?.toString() ?? "");
  if (isZipped) {
    body.zipped ??= await compress(bytes);
    bytes = body.zipped;
    headers["content-encoding"] = "gzip";
  }
  response.writeHead(200, { ...headers, "content-length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** An answer that nobody keeps: errors, health. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
  });
  response.end(JSON.stringify(value));
}

function namesEtag(header: string | undefined, etag: string): boolean {
  return (
    header !== undefined &&
    header.split(",").some((each) => each.trim().replace(/^W\//u, "") === etag)
  );
}
