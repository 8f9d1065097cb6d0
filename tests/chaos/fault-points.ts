/** Rows of the failure table, as moments at which a worker can be ended: see base/fault.ts and operators/DESIGN.md. */
export const FAULT_POINTS: readonly string[] = [
  "before-barrier",
  "after-barrier",
  "after-flush",
  "before-blob",
  "half-blob",
  "after-blob",
  "before-swap",
  "after-swap",
  "before-insert",
  "after-insert",
  "after-commit",
];
