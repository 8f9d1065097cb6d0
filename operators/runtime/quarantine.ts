import type { RecordError } from "./subtask.ts";

/** Messages that are watched at once; beyond, something else than single records is wrong. */
const MAX_SUSPECTS = 1000;

interface Suspect {
  tries: number;
  /** By part: why it is left out. */
  readonly reasons: Map<number, string>;
}

/**
 * Remembers, over restarts of a region, which input messages made it fail. One that has failed as often as is
 * allowed is taken apart; a part that fails again is left out from then on, and becomes a dead letter.
 */
export class Quarantine {
  readonly #triesMax: number;
  readonly #suspects = new Map<string, Suspect>();

  /** @param triesMax - failures of one message until it is taken apart, at least 1. */
  constructor(triesMax: number) {
    this.#triesMax = triesMax;
  }

  note({ keyGroup, sequence, part, message }: RecordError): void {
    const key = `${String(keyGroup)}/${String(sequence)}`;
    const suspect = this.#suspects.get(key) ?? { tries: 0, reasons: new Map<number, string>() };
    suspect.tries += 1;
    if (part >= 0) suspect.reasons.set(part, message);
    if (this.#suspects.size < MAX_SUSPECTS || this.#suspects.has(key))
      this.#suspects.set(key, suspect);
  }

  /** True when the message is to be processed part by part. */
  isSuspect(keyGroup: number, sequence: number): boolean {
    if (this.#suspects.size === 0) return false;
    const suspect = this.#suspects.get(`${String(keyGroup)}/${String(sequence)}`);
    return suspect !== undefined && suspect.tries >= this.#triesMax;
  }

  /** Why a part is left out; undefined when it is to be tried. */
  reason(keyGroup: number, sequence: number, part: number): string | undefined {
    return this.#suspects.get(`${String(keyGroup)}/${String(sequence)}`)?.reasons.get(part);
  }
}
