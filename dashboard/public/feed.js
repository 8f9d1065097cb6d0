// The event stream: opens it, opens it again when it breaks, and says how it stands.

/** Three heartbeats of the server (5 s each) without a word: the connection is dead without having closed. */
const SILENCE_MS = 16_000;
/** Between attempts when the browser itself has given up. */
const REOPEN_MS = 1_000;

/**
 * @typedef {object} FeedHandlers
 * @property {(data: { status: import("../wire.ts").FeedStatus, games: import("../wire.ts").GameSummary[], game: import("../wire.ts").GameDetail | null }) => void} onSnapshot
 * @property {(detail: import("../wire.ts").GameDetail) => void} onGame changed rows of the watched game
 * @property {(data: { changed: import("../wire.ts").GameSummary[], removed: string[] }, isLive: boolean) => void} onGames
 * @property {(status: import("../wire.ts").FeedStatus) => void} onStatus
 * @property {(link: "connecting" | "open" | "lost") => void} onLink
 */

/**
 * Watches one game (and the list of all) until `close`.
 * @param {string} gameId empty for the list alone
 * @param {FeedHandlers} handlers
 * @returns {{ close(): void }}
 */
export function openFeed(gameId, handlers) {
  /** @type {EventSource | undefined} */
  let source;
  let lastId = "";
  let heardAtMs = performance.now();
  let isClosed = false;
  /** Events that a resume repeats are not live: they say nothing of the latency. */
  let isLive = false;

  /** @param {(data: any) => void} handle @returns {(event: MessageEvent) => void} */
  const listener = (handle) => (event) => {
    heardAtMs = performance.now();
    if (event.lastEventId !== "") lastId = event.lastEventId;
    handle(JSON.parse(event.data));
  };

  const open = () => {
    isLive = false;
    const query = new URLSearchParams({ game: gameId, ...(lastId === "" ? {} : { last: lastId }) });
    const opened = new EventSource(`/api/events?${query}`);
    source = opened;
    heardAtMs = performance.now();
    opened.addEventListener("open", () => {
      heardAtMs = performance.now();
      isLive = false;
    });
    opened.addEventListener("error", () => {
      if (isClosed || source !== opened) return;
      isLive = false;
      handlers.onLink("lost");
      if (opened.readyState === EventSource.CLOSED) setTimeout(() => reopen(opened), REOPEN_MS);
    });
    const begin = () => {
      isLive = true;
      handlers.onLink("open");
    };
    const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ handle) =>
      opened.addEventListener(name, listener(handle));
    on("snapshot", (data) => {
      begin();
      handlers.onSnapshot(data);
    });
    on("resume", (status) => {
      begin();
      handlers.onStatus(status);
    });
    on("game", (detail) => handlers.onGame(detail));
    on("games", (data) => handlers.onGames(data, isLive));
    on("status", (status) => {
      handlers.onLink("open");
      handlers.onStatus(status);
    });
    on("beat", () => {});
  };

  const reopen = (/** @type {EventSource | undefined} */ broken) => {
    if (isClosed || source !== broken) return;
    broken?.close();
    open();
  };

  const watchdog = setInterval(() => {
    if (performance.now() - heardAtMs < SILENCE_MS) return;
    handlers.onLink("lost");
    reopen(source);
  }, 1_000);

  handlers.onLink("connecting");
  open();
  return {
    close() {
      isClosed = true;
      clearInterval(watchdog);
      source?.close();
    },
  };
}
