/**
 * Named moments at which a test ends the process, as a crash would: `COURTSIDE_FAULT=after-swap:3` kills it when
 * it comes there for the third time, `after-swap:3:stop` freezes it. Without the variable nothing happens.
 */
export type FaultPoint = (name: string) => void;

const VARIABLE = "COURTSIDE_FAULT";

/** @param environment - read once. */
export function faultFromEnvironment(environment: NodeJS.ProcessEnv = process.env): FaultPoint {
  const [point = "", times = "1", how = "kill"] = (environment[VARIABLE] ?? "").split(":");
  if (point === "") return () => {};
  let left = Number(times);
  return (name) => {
    if (name !== point) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, how === "stop" ? "SIGSTOP" : "SIGKILL");
  };
}
