import { type JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type About } from "../wire-views.ts";
import { AboutContext } from "./about.tsx";
import { useView } from "./view.ts";
import { type Address, readAddress } from "./address.ts";
import { type Theme } from "./colours.ts";
import { Glossary, Notice, TopBar } from "./frame.tsx";
import { gameSentence } from "./format.ts";
import { GameView } from "./game/game-view.tsx";
import { type LiveState, LiveStore } from "./live.ts";
import { ModelPage } from "./model.tsx";
import { PipelinePage } from "./pipeline.tsx";
import { SeasonPage } from "./season.tsx";
import { SqlPage } from "./sql.tsx";
import { TonightPage } from "./tonight.tsx";
import { TracePage, TracesPage } from "./traces.tsx";

/** A screen reader is not told the score more often than this. */
const ANNOUNCE_MS = 15_000;
const THEME_KEY = "courtside-theme";

export function App(): JSX.Element {
  const address = useAddress();
  const live = useLive(address.view === "game" ? address.id : "");
  const [theme, setTheme] = useTheme();
  useEffect(() => {
    document.title = titleOf(address, live);
  });
  const about = useView<About>("api/about", 0).data;
  return (
    <AboutContext.Provider value={about}>
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <TopBar
        view={address.view}
        live={live}
        theme={theme}
        onTheme={() => setTheme(theme === "dark" ? "light" : "dark")}
      />
      <Notice live={live} />
      <View address={address} live={live} theme={theme} />
      <Glossary />
      <Announcer live={live} gameId={address.view === "game" ? address.id : ""} />
    </AboutContext.Provider>
  );
}

function View(props: { address: Address; live: LiveState; theme: Theme }): JSX.Element {
  const { address, live, theme } = props;
  switch (address.view) {
    case "game":
      return (
        <GameView key={address.id} id={address.id} play={address.play} live={live} theme={theme} />
      );
    case "season":
      return <SeasonPage />;
    case "model":
      return <ModelPage />;
    case "pipeline":
      return <PipelinePage live={live} />;
    case "traces":
      return <TracesPage key={address.game} game={address.game} />;
    case "trace":
      return <TracePage id={address.id} />;
    case "sql":
      return <SqlPage />;
    case "tonight":
      return <TonightPage live={live} theme={theme} />;
    default:
      return address satisfies never;
  }
}

function useAddress(): Address {
  const [address, setAddress] = useState(() => readAddress(location.hash));
  useEffect(() => {
    const read = (): void => setAddress(readAddress(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return address;
}

let store: LiveStore | undefined;

/** One event stream for the whole page; drawn at most once a frame. */
function useLive(gameId: string): LiveState {
  const [, redraw] = useState(0);
  store ??= new LiveStore();
  const live = store;
  useEffect(() => live.follow(() => redraw((count) => count + 1)), [live]);
  useEffect(() => live.watch(gameId), [live, gameId]);
  return live.state;
}

function useTheme(): [Theme, (theme: Theme) => void] {
  const system = (): Theme =>
    matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const chosen = (): Theme | null => {
    const kept = localStorage.getItem(THEME_KEY);
    return kept === "dark" || kept === "light" ? kept : null;
  };
  const [theme, setTheme] = useState<Theme>(() => {
    const kept = chosen();
    if (kept !== null) document.documentElement.dataset["theme"] = kept;
    return kept ?? system();
  });
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: light)");
    const follow = (): void => setTheme(chosen() ?? system());
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);
  const choose = (next: Theme): void => {
    localStorage.setItem(THEME_KEY, next);
    document.documentElement.dataset["theme"] = next;
    setTheme(next);
  };
  return [theme, choose];
}

const announced = { key: "", atMs: 0, text: "" };

function Announcer({ live, gameId }: { live: LiveState; gameId: string }): JSX.Element {
  const summary = live.games.get(gameId);
  if (summary !== undefined) {
    const key = `${summary.id} ${summary.status} ${summary.homeScore} ${summary.awayScore}`;
    if (key !== announced.key && performance.now() - announced.atMs > ANNOUNCE_MS) {
      announced.key = key;
      announced.atMs = performance.now();
      announced.text = gameSentence(summary);
    }
  }
  return (
    <p class="visually-hidden" id="announcer" aria-live="polite">
      {announced.text}
    </p>
  );
}

function skipToMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function titleOf(address: Address, live: LiveState): string {
  if (address.view !== "game") {
    const names = { tonight: "Tonight", season: "Season", model: "Model", pipeline: "Pipeline" };
    const more = { traces: "Traces", trace: "Trace", sql: "SQL" };
    return `${{ ...names, ...more }[address.view]} · Courtside`;
  }
  const game = live.games.get(address.id);
  if (game === undefined) return "Courtside";
  const { away, home, awayScore, homeScore } = game;
  return `${away.tricode} ${awayScore}–${homeScore} ${home.tricode} · Courtside`;
}
