import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/** A process that cannot be mistaken for a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the words of the operating system; compared, never computed with. */
  readonly startTime: string;
}

/** How often a process that was asked to end is looked at. */
const END_POLL_MS = 20;
/** A killed process is gone in milliseconds; longer means that the kernel holds it, for example in disk I/O. */
const KILL_WAIT_MS = 5_000;

/** @returns who runs under `pid`, or undefined when nobody does. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Identity of this very process. */
export async function identifySelf(): Promise<ProcessIdentity> {
  return { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? "" };
}

/** True while the very process runs, false when it ended, even if another got its id since. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(identity.pid)) === identity.startTime;
}

/**
 * Ends a process by id: `signal` first, SIGKILL after `graceMs`. Does nothing when it is gone already.
 *
 * @returns true when it was running.
 */
export async function endProcess(
  identity: ProcessIdentity,
  graceMs: number,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<boolean> {
  if (!(await isRunning(identity))) return false;
  sendSignal(identity.pid, signal);
  if (await hasEnded(identity, graceMs)) return true;
  sendSignal(identity.pid, "SIGKILL");
  await hasEnded(identity, KILL_WAIT_MS);
  return true;
}

async function hasEnded(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + waitMs;
  while (await isRunning(identity)) {
    if (performance.now() >= deadlineMs) return false;
    await delay(END_POLL_MS);
  }
  return true;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it ended between the look and the signal, which is what was wanted.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

async function startTimeOf(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? startTimeFromProc(pid) : startTimeFromPs(pid);
}

/** Fields of /proc/PID/stat behind the command, which may itself hold spaces and parentheses. See proc(5). */
const STAT_STATE = 0;
const STAT_START_TIME = 19;

async function startTimeFromProc(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds neither ports nor locks: it has ended, only its parent has not looked yet.
    return fields[STAT_STATE] === "Z" ? undefined : fields[STAT_START_TIME];
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ESRCH")) return undefined;
    throw error;
  }
}

async function startTimeFromPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)]);
    return stdout.trim() || undefined;
  } catch {
    // `ps` exits 1 when there is no such process.
    return undefined;
  }
}

/** True for a system error with this code, for example `ENOENT`. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
