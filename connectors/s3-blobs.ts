import { createHash } from "node:crypto";
import { AwsClient } from "aws4fetch";
import { delay } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { type BlobStore, StoreError } from "../operators/mod.ts";

/** Requests for one call at the most; with the waits between them about three seconds of a store that is away. */
const TRIES = 6;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** Of one request: its answer, and on top the time that its bytes take on a slow line. */
const TIMEOUT_MS = 10_000;
const SLOWEST_BYTES_PER_MS = 1000;
/** One PUT takes no more; a region's snapshot is far below. */
const MAX_BLOB_BYTES = 5 * 1024 ** 3;
/** Of an error's answer, what is read into the message. */
const MAX_REASON_CHARS = 200;

interface Call {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly url: string;
  readonly body?: Uint8Array<ArrayBuffer>;
}

/** Of one request: done, without bytes when there is no such object; or refused, for now or for good. */
type Outcome =
  | { readonly isDone: true; readonly bytes: Uint8Array | undefined }
  | {
      readonly isDone: false;
      readonly mayPass: boolean;
      readonly reason: string;
      readonly cause?: unknown;
    };

interface ListPage {
  readonly names: readonly string[];
  /** Continues the list; undefined at its end. */
  readonly next: string | undefined;
}

/** Where the bucket is and who asks. */
export interface S3Options {
  readonly bucket: string;
  /** Before every name, without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** Of a store that is not Amazon's, `http://127.0.0.1:9000`; its buckets are paths. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Of one request without its bytes, milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Blobs as objects of an S3-compatible store. An object is there with its last byte (a PUT is whole or not at
 * all), and reads and lists see it at once, as S3 promises since 2020.
 *
 * The four requests that are needed go through `fetch`, signed by aws4fetch (one file, no dependencies), so that
 * a time-out really ends them. `@aws-sdk/client-s3` (22 MB in 26 packages) and `minio` (16 MB in 34) bring much
 * that is not used here; s3-lite-client cannot end a request, s3mini knows no session tokens.
 */
export class S3Blobs implements BlobStore {
  readonly location: string;
  readonly #client: AwsClient;
  readonly #bucketUrl: string;
  readonly #prefix: string;
  readonly #timeoutMs: number;

  private constructor(options: S3Options) {
    const { bucket, prefix, endpoint, region } = options;
    const { accessKeyId, secretAccessKey, sessionToken } = options;
    this.#client = new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: "s3",
      region,
      retries: 0,
    });
    this.#bucketUrl = bucketUrl(bucket, region, endpoint);
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.location = `s3://${bucket}/${prefix}`;
  }

  /** Looks whether the bucket is there and may be listed. @throws StoreError when not. */
  static async open(options: S3Options): Promise<S3Blobs> {
    const blobs = new S3Blobs(options);
    await blobs.#page("");
    return blobs;
  }

  async put(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const body = Buffer.concat(parts);
    if (body.length > MAX_BLOB_BYTES)
      throw new StoreError(
        `cannot write ${name} to ${this.location}: ${String(body.length)} bytes are more than an object holds`,
      );
    await this.#request(`write ${name} to`, { method: "PUT", url: this.#url(name), body });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#request(`read ${name} in`, { method: "GET", url: this.#url(name) });
  }

  async list(prefix: string): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#page(prefix, token);
      names.push(...page.names);
      token = page.next;
    } while (token !== undefined);
    return names;
  }

  async remove(name: string): Promise<void> {
    await this.#request(`remove ${name} in`, { method: "DELETE", url: this.#url(name) });
  }

  async #page(prefix: string, token?: string): Promise<ListPage> {
    const query = new URLSearchParams({
      "list-type": "2",
      "encoding-type": "url",
      prefix: this.#prefix + prefix,
    });
    if (token !== undefined) query.set("continuation-token", token);
    // A plus is a space in forms alone; signatures are over %20.
    const url = `${this.#bucketUrl}?${query.toString().replaceAll("+", "%20")}`;
    const answer = await this.#request("list", { method: "GET", url });
    const page = listPage(Buffer.from(answer ?? []).toString());
    if (page === undefined)
      throw new StoreError(
        `cannot list ${this.location}: what answers at ${new URL(url).origin} does not speak S3`,
      );
    return { ...page, names: page.names.map((name) => name.slice(this.#prefix.length)) };
  }

  /** Undefined when there is no such object. @throws StoreError for every other refusal. */
  async #request(what: string, call: Call): Promise<Uint8Array | undefined> {
    for (let tries = 1, waitMs = RETRY_MIN_MS; ; tries += 1) {
      const outcome = await this.#try(call);
      if (outcome.isDone) return outcome.bytes;
      if (!outcome.mayPass || tries === TRIES)
        throw new StoreError(`cannot ${what} ${this.location}: ${outcome.reason}`, {
          cause: outcome.cause,
        });
      await delay(waitMs);
      waitMs = Math.min(2 * waitMs, RETRY_MAX_MS);
    }
  }

  async #try({ method, url, body }: Call): Promise<Outcome> {
    const idle = new AbortController();
    const timeoutMs = this.#timeoutMs + (body?.length ?? 0) / SLOWEST_BYTES_PER_MS;
    const timer = setTimeout(() => idle.abort(), timeoutMs);
    try {
      const hash = createHash("sha256").update(body ?? "");
      const signed = await this.#client.sign(url, {
        method,
        headers: { "x-amz-content-sha256": hash.digest("hex") },
      });
      const response = await fetch(signed.url, {
        method,
        headers: signed.headers,
        ...(body === undefined ? {} : { body }),
        redirect: "manual",
        signal: idle.signal,
      });
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body ?? []) {
        chunks.push(chunk);
        timer.refresh();
      }
      const bytes = Buffer.concat(chunks);
      return response.ok ? { isDone: true, bytes } : refusal(method, response.status, bytes);
    } catch (error) {
      const reason = idle.signal.aborted
        ? `no answer in ${String(Math.ceil(timeoutMs))} ms`
        : `${new URL(url).origin} is away: ${errorText((error as Error).cause ?? error)}`;
      return { isDone: false, mayPass: true, reason, cause: error };
    } finally {
      clearTimeout(timer);
    }
  }

  #url(name: string): string {
    const key = this.#prefix + name;
    return `${this.#bucketUrl}/${key.split("/").map(encodeURIComponent).join("/")}`;
  }
}

/** Amazon's buckets are hosts, but for names with dots, which its certificates do not cover. */
function bucketUrl(bucket: string, region: string, endpoint: string | undefined): string {
  if (endpoint !== undefined) return `${endpoint.replace(/\/+$/, "")}/${bucket}`;
  const host = `s3.${region}.amazonaws.com`;
  return bucket.includes(".") ? `https://${host}/${bucket}` : `https://${bucket}.${host}`;
}

/** Of `ListBucketResult`; undefined for anything else. Reads the few elements that are needed, which never nest. */
function listPage(xml: string): ListPage | undefined {
  if (!xml.includes("<ListBucketResult")) return undefined;
  const decode = element(xml, "EncodingType") === "url" ? decodeForm : decodeXml;
  const names = [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = ""]) => decode(key));
  if (element(xml, "IsTruncated") !== "true") return { names, next: undefined };
  const token = element(xml, "NextContinuationToken");
  return token === undefined ? undefined : { names, next: decodeXml(token) };
}

function element(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}

function decodeForm(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}

const XML_ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

function decodeXml(text: string): string {
  return text.replace(/&[a-z]+;/g, (entity) => XML_ENTITIES[entity] ?? entity);
}

/** What a person can do about a refusal. */
const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: "there is no such bucket: make it, or name another one",
  InvalidAccessKeyId: "the store does not know this AWS_ACCESS_KEY_ID",
  SignatureDoesNotMatch: "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
  AccessDenied: "these credentials may not do that: they need to list, get, put and delete objects",
  ExpiredToken: "AWS_SESSION_TOKEN has expired",
  RequestTimeTooSkewed: "this machine's clock and the store's differ too much: set it",
  PermanentRedirect: "the bucket is in another region: set AWS_REGION",
  AuthorizationHeaderMalformed: "the bucket is in another region: set AWS_REGION",
};
/** Beside the server's own errors. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 409, 425, 429]);
/** Errors that say "later" under a status of the caller's faults. */
const PASSING_CODES: ReadonlySet<string> = new Set(["RequestTimeout", "SlowDown"]);

function refusal(method: Call["method"], status: number, answer: Uint8Array): Outcome {
  const text = Buffer.from(answer).toString();
  const code = element(text, "Code") ?? "";
  if (method !== "PUT" && code === "NoSuchKey") return { isDone: true, bytes: undefined };
  const said = element(text, "Message") ?? text.trim();
  const reason = HINTS[code] ?? `${code || "refused"}: ${said.slice(0, MAX_REASON_CHARS)}`;
  return {
    isDone: false,
    mayPass: status >= 500 || PASSING_STATUSES.has(status) || PASSING_CODES.has(code),
    reason: `${reason} (HTTP ${String(status)})`,
  };
}
