import type { NatsConnection } from "@nats-io/nats-core";
import { UsageError } from "../base/errors.ts";
import { Bucket } from "../connectors/bucket.ts";
import { DirectoryBlobs } from "../connectors/directory-store.ts";
import { JetStreamBlobs } from "../connectors/jetstream-blobs.ts";
import { S3Blobs, type S3Options } from "../connectors/s3-blobs.ts";
import { layoutOf } from "../local/data-dir.ts";
import type { BlobStore, FaultPoint } from "../operators/mod.ts";
import { JOBS_BUCKET, SNAPSHOTS_BUCKET } from "../proto/subjects.ts";
import type { CommandContext } from "./command.ts";
import { textFlag } from "./flags.ts";

/** Flags of every command that looks at checkpoints. */
export const JOB_STORE_OPTIONS = {
  data: { type: "string", default: ".courtside/insight" },
  checkpoints: { type: "string" },
} as const;

/** What a job has outside its workers. */
export interface JobStores {
  readonly jobs: Bucket;
  readonly blobs: BlobStore;
}

export async function openJobStores(
  nats: NatsConnection,
  values: CommandContext["values"],
  fault?: FaultPoint,
): Promise<JobStores> {
  return {
    jobs: await Bucket.open(nats, JOBS_BUCKET),
    blobs: await openBlobs(nats, values, fault),
  };
}

/** @throws UsageError for an address of an unknown kind. */
async function openBlobs(
  nats: NatsConnection,
  values: CommandContext["values"],
  fault: FaultPoint | undefined,
): Promise<BlobStore> {
  const place = textFlag(values, "checkpoints") ?? layoutOf(String(values["data"])).checkpoints;
  const [, scheme] = /^([a-z0-9]+):/.exec(place) ?? [];
  switch (scheme) {
    case undefined:
      return Promise.resolve(new DirectoryBlobs(place, fault));
    case "nats":
      return JetStreamBlobs.open(nats, place.slice("nats:".length) || SNAPSHOTS_BUCKET);
    case "s3":
      return S3Blobs.open(s3Options(place, process.env));
    default:
      throw new UsageError(
        `--checkpoints takes a directory, nats: or s3://BUCKET/PREFIX, not "${place}"`,
      );
  }
}

/** A bucket's name, then maybe a prefix. */
const S3_ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/+(.*?))?\/*$/;
const DEFAULT_REGION = "us-east-1";

/**
 * Of `s3://BUCKET/PREFIX` and the variables that Amazon's own tools read.
 * @throws UsageError for another address, and when variables are missing.
 */
export function s3Options(address: string, environment: NodeJS.ProcessEnv): S3Options {
  const [, bucket, prefix = ""] = S3_ADDRESS.exec(address) ?? [];
  if (bucket === undefined)
    throw new UsageError(`--checkpoints takes s3://BUCKET/PREFIX, not "${address}"`);
  const variable = (...names: string[]): string | undefined =>
    names.map((name) => environment[name]).find((value) => value !== undefined && value !== "");
  const required = (name: string): string => {
    const value = variable(name);
    if (value === undefined)
      throw new UsageError(
        `${address} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; ${name} is not set`,
      );
    return value;
  };
  const endpoint = variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
  if (endpoint !== undefined && !/^https?:\/\/./.test(endpoint))
    throw new UsageError(
      `AWS_ENDPOINT_URL_S3 is an http:// or https:// address, not "${endpoint}"`,
    );
  return {
    bucket,
    prefix,
    endpoint,
    region: variable("AWS_REGION", "AWS_DEFAULT_REGION") ?? DEFAULT_REGION,
    accessKeyId: required("AWS_ACCESS_KEY_ID"),
    secretAccessKey: required("AWS_SECRET_ACCESS_KEY"),
    sessionToken: variable("AWS_SESSION_TOKEN"),
  };
}
