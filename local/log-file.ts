import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** A log is turned over at this size, and one older one is kept: 32 MiB a process at most. */
const LIMIT_BYTES = 16 * 1024 * 1024;

/** A file that is appended to and never grows without bound. */
export interface LogFile {
  readonly path: string;
  /** @throws the error of the operating system, for example ENOSPC. */
  write(chunk: Uint8Array): void;
  close(): void;
}

/** Opens `path`; what it held is kept, what it holds beyond the limit goes to `<path>.1`. */
export function openLogFile(path: string, limitBytes: number = LIMIT_BYTES): LogFile {
  let descriptor = openSync(path, "a");
  let sizeBytes = fstatSync(descriptor).size;
  let open = true;
  return {
    path,
    write(chunk) {
      if (!open) return;
      if (sizeBytes + chunk.length > limitBytes && sizeBytes > 0) {
        closeSync(descriptor);
        renameSync(path, `${path}.1`);
        descriptor = openSync(path, "a");
        sizeBytes = 0;
      }
      sizeBytes += writeSync(descriptor, chunk);
    },
    close() {
      if (!open) return;
      open = false;
      closeSync(descriptor);
    },
  };
}
