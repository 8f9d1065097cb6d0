/** Views that are asked for: loaded, kept while they are asked for again, and honest when that fails. */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  readonly data: T | null;
  /** What went wrong the last time; data may still be there from before. */
  readonly error: string | null;
  readonly loading: boolean;
  /** When the data came, epoch milliseconds. */
  readonly atMs: number;
}

/** Always the same objects, so that what waits is not drawn again and again. */
const NOTHING: Loaded<never> = { data: null, error: null, loading: true, atMs: 0 };
const IDLE: Loaded<never> = { ...NOTHING, loading: false };
/** An answer that takes longer is not worth waiting for. */
const TIMEOUT_MS = 20_000;

/**
 * Loads `path` and again every `everyMs` while the page can be seen; 0 loads once. The empty path loads nothing.
 */
export function useView<T>(path: string, everyMs: number): Loaded<T> {
  const [state, setState] = useState<Loaded<T> & { path: string }>({ ...NOTHING, path });
  const latest = useRef(path);
  latest.current = path;
  useEffect(() => {
    if (path === "") return;
    let timer = 0;
    let isGone = false;
    const load = async (): Promise<void> => {
      if (document.visibilityState === "visible") {
        const answer = await ask<T>(path);
        if (isGone) return;
        setState((before) => ({
          path,
          data: answer.data ?? (before.path === path ? before.data : null),
          error: answer.error,
          loading: false,
          atMs: answer.data === null ? before.atMs : Date.now(),
        }));
      }
      if (everyMs > 0 && !isGone) timer = setTimeout(() => void load(), everyMs);
    };
    void load();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  if (path === "") return IDLE;
  return state.path === path ? state : NOTHING;
}

export interface Answer<T> {
  readonly data: T | null;
  readonly error: string | null;
}

/** JSON of an address of this server; errors are told in its own words. */
export async function ask<T>(path: string, body?: unknown): Promise<Answer<T>> {
  try {
    const response = await fetch(path, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    const json: unknown = await response.json();
    if (response.ok) return { data: json as T, error: null };
    return { data: null, error: errorOf(json) };
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return {
      data: null,
      error: isLate ? "the server takes too long" : "the server does not answer",
    };
  }
}

function errorOf(json: unknown): string {
  const { error } = json as { error?: string | { message?: string } };
  if (typeof error === "string") return error;
  return error?.message ?? "the server could not answer";
}
