import { type ComponentChildren, type JSX } from "preact";
import { type Theme } from "./colours.ts";
import { durationText, type Term, TERMS } from "./format.ts";
import { type LiveState } from "./live.ts";
import { type Loaded } from "./view.ts";

const VIEWS = [
  ["tonight", "Tonight"],
  ["season", "Season"],
  ["model", "Model"],
  ["pipeline", "Pipeline"],
  ["traces", "Traces"],
  ["sql", "SQL"],
] as const;

interface TopBarProps {
  readonly view: string;
  readonly live: LiveState;
  readonly theme: Theme;
  readonly onTheme: () => void;
}

export function TopBar({ view, live, theme, onTheme }: TopBarProps): JSX.Element {
  const [look, word] = connectionOf(live);
  const { latency } = live;
  const current = view === "game" ? "tonight" : view === "trace" ? "traces" : view;
  return (
    <header class="top">
      <a class="brand" href="#/">
        <img src="./icon.svg" alt="" width="28" height="28" />
        <span>Courtside</span>
      </a>
      <nav class="views" aria-label="Views">
        {VIEWS.map(([name, label]) => (
          <a
            key={name}
            href={name === "tonight" ? "#/" : `#/${name}`}
            aria-current={current === name ? "page" : undefined}
          >
            {label}
          </a>
        ))}
      </nav>
      <p
        class="top-latency"
        id="latency"
        title="Median time from the publication of a play to the pixels of this page"
        data-p50={latency?.p50}
        data-p99={latency?.p99}
        data-count={latency?.count}
      >
        {latency === null ? "" : `feed → page ${durationText(latency.p50)}`}
      </p>
      <p class="pill" id="connection" role="status" data-state={look}>
        {word}
      </p>
      <button
        type="button"
        id="theme"
        aria-label={theme === "dark" ? "Switch to light colours" : "Switch to dark colours"}
        onClick={onTheme}
      >
        {theme === "dark" ? "☀" : "☾"}
      </button>
    </header>
  );
}

function connectionOf({ link, hasSnapshot, status }: LiveState): [look: string, word: string] {
  if (link === "lost") return ["lost", "Offline"];
  if (link === "connecting" && !hasSnapshot) return ["connecting", "Connecting"];
  if (status?.phase === "disconnected") return ["lost", "Stale"];
  if (status !== null && status.waitingPlays > 0) return ["lost", "Stale"];
  if (status?.phase === "catching-up") return ["connecting", "Catching up"];
  if (status?.phase === "waiting") return ["connecting", "Waiting"];
  return ["open", "Live"];
}

/** What is wrong, over everything; empty when nothing is. It floats, so that nothing under it moves. */
export function Notice({ live }: { live: LiveState }): JSX.Element {
  const { link, status, lostSinceMs } = live;
  let text = "";
  if (link === "lost") {
    const since = lostSinceMs === 0 ? "" : ` ${durationText(Date.now() - lostSinceMs)} ago`;
    text = `Connection to the dashboard lost${since}. What you see is from then; trying again.`;
  } else if (status?.phase === "disconnected") {
    text = "The dashboard has lost the broker. What you see is from before; it goes on by itself.";
  } else if (status !== null && status.waitingPlays > 0) {
    text = `The insight job does not answer; ${status.waitingPlays} plays wait for it. What you see is from before.`;
  } else if (status?.phase === "catching-up") {
    text = `Reading what is stored: ${status.insights.toLocaleString("en")} of ${status.backlog.toLocaleString("en")}.`;
  }
  return (
    <div
      class="banner"
      id="banner"
      role="alert"
      hidden={text === ""}
      data-state={connectionOf(live)[0]}
    >
      {text}
    </div>
  );
}

/** A word with its definition on hover; all definitions are at the end of the page too. */
export function Def({ term, children }: { term: Term; children?: ComponentChildren }): JSX.Element {
  return <abbr title={TERMS[term]}>{children ?? term}</abbr>;
}

export function Glossary(): JSX.Element {
  return (
    <footer class="glossary">
      <details>
        <summary>Words and units</summary>
        <dl>
          {Object.entries(TERMS).map(([term, text]) => (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </details>
    </footer>
  );
}

interface PanelProps {
  readonly title: ComponentChildren;
  readonly hint?: ComponentChildren;
  readonly class?: string;
  readonly id?: string;
  readonly children?: ComponentChildren;
}

export function Panel({ title, hint, class: name = "", id, children }: PanelProps): JSX.Element {
  return (
    <section class={`panel ${name}`} id={id}>
      <header>
        <h2>{title}</h2>
        {hint !== undefined && <p class="hint">{hint}</p>}
      </header>
      {children}
    </section>
  );
}

interface StateOfProps<T> {
  readonly loaded: Loaded<T>;
  /** Said when there is data and it is empty. */
  readonly empty?: string | false;
  readonly children: (data: T) => ComponentChildren;
}

/** A view that is asked for, in whichever state it is: loading, failed, stale, empty, there. */
export function StateOf<T>({ loaded, empty = false, children }: StateOfProps<T>): JSX.Element {
  const { data, error, loading, atMs } = loaded;
  if (data === null) {
    if (error !== null)
      return (
        <p class="note problem" role="status">
          {`Not available: ${error}. Trying again.`}
        </p>
      );
    return (
      <p class="note" role="status">
        {loading ? "Loading …" : "Nothing yet."}
      </p>
    );
  }
  return (
    <>
      {error !== null && (
        <p class="note problem" role="status">
          {`As of ${durationText(Date.now() - atMs)} ago: ${error}. Trying again.`}
        </p>
      )}
      {empty === false ? children(data) : <p class="note">{empty}</p>}
    </>
  );
}
