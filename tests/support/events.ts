/** A server-sent event as a test sees it. */
export interface ReceivedEvent {
  readonly name: string;
  readonly id: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into whatever came
  readonly data: any;
}

/** An open event stream that is read on demand. */
export interface EventReader {
  /** The next event with this name; others on the way are dropped. Ends with an error after 5 s. */
  next(name: string): Promise<ReceivedEvent>;
  /** Resolves when the server ends the stream. */
  ended(): Promise<void>;
  close(): void;
}

const NEXT_TIMEOUT_MS = 5_000;

/** Opens `url` as an event stream, with the last seen event when one is given. */
export async function openEvents(url: string, lastEventId?: string): Promise<EventReader> {
  const abort = new AbortController();
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const response = await fetch(url, { headers, signal: abort.signal });
  if (!response.ok || response.body === null) {
    throw new Error(`GET ${url} answered ${String(response.status)}`);
  }
  const events = parse(response.body.pipeThrough(new TextDecoderStream()));
  return {
    next: async (name) => {
      const timer = setTimeout(() => abort.abort(), NEXT_TIMEOUT_MS);
      try {
        for (;;) {
          const { done, value } = await events.next();
          if (done === true) throw new Error(`the stream ended before a ${name} event`);
          if (value.name === name) return value;
        }
      } finally {
        clearTimeout(timer);
      }
    },
    ended: async () => {
      for (;;) if ((await events.next()).done === true) return;
    },
    close: () => abort.abort(),
  };
}

async function* parse(chunks: ReadableStream<string>): AsyncGenerator<ReceivedEvent, undefined> {
  let rest = "";
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string): string | undefined =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const [name, id = ""] = [field("event"), field("id")];
      if (name !== undefined) yield { name, id, data: JSON.parse(field("data") ?? "null") };
    }
  }
  return undefined;
}
