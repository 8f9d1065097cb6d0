import type { NatsConnection } from "@nats-io/nats-core";
import { UsageError } from "../base/errors.ts";
import { Bucket } from "../connectors/bucket.ts";
import { DirectoryBlobs } from "../connectors/directory-store.ts";
import { JetStreamBlobs } from "../connectors/jetstream-blobs.ts";
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
    default:
      throw new UsageError(
        `--checkpoints takes a directory, nats: or s3://BUCKET/PREFIX, not "${place}"`,
      );
  }
}
