import { workerData } from "node:worker_threads";
import { type SharedRows, STEP, ThreadRows } from "./rows.ts";

/** A thread beside the main one: takes each step on its own rows when the generation moves on. */
const { shared, thread } = workerData as { shared: SharedRows; thread: number };
const rows = new ThreadRows(shared, thread);
const control = new Int32Array(shared.control);
for (let generation = 0; ;) {
  Atomics.wait(control, 0, generation);
  generation = Atomics.load(control, 0);
  const step = Atomics.load(control, 1);
  if (step === STEP.end) break;
  rows.take(step);
  Atomics.add(control, 2, 1);
  Atomics.notify(control, 2);
}
