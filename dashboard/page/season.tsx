import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { type SeasonGame, type SeasonView } from "../wire-views.ts";
import { gameHref } from "./address.ts";
import { GrafanaLink } from "./about.tsx";
import { Reliability } from "./charts.tsx";
import { Def, Panel, StateOf } from "./frame.tsx";
import { countText, percentText } from "./format.ts";
import { useView } from "./view.ts";

const EVERY_MS = 15_000;
/** Best games shown of each kind. */
const BEST = 5;
/** Results shown at once. */
const STEP = 50;

/** Results, calibration, and the games worth watching again. */
export function SeasonPage(): JSX.Element {
  const loaded = useView<SeasonView>("api/season", EVERY_MS);
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>
        Season <GrafanaLink board="courtside-season" />
      </h1>
      <StateOf
        loaded={loaded}
        empty={
          loaded.data?.finished === 0 &&
          "No game has ended yet. Results appear here when the first one does."
        }
      >
        {(season) => <Season season={season} />}
      </StateOf>
    </main>
  );
}

function Season({ season }: { season: SeasonView }): JSX.Element {
  const { finished, plays, brier, logLoss, homeWins, games } = season;
  const best = (by: (game: SeasonGame) => number): SeasonGame[] =>
    games.toSorted((a, b) => by(b) - by(a)).slice(0, BEST);
  return (
    <div class="grid-page">
      <dl class="tiles" id="season-tiles">
        <Tile name="Games" value={countText(finished)} raw={finished} />
        <Tile name="Plays" value={countText(plays)} raw={plays} />
        <Tile
          name="Home wins"
          value={percentText(finished === 0 ? null : homeWins / finished)}
          raw={homeWins}
        />
        <Tile name={<Def term="Brier" />} value={brier?.toFixed(4) ?? "–"} raw={brier} />
        <Tile name={<Def term="Log loss" />} value={logLoss?.toFixed(4) ?? "–"} raw={logLoss} />
      </dl>
      <Panel title="Calibration" hint="of all plays of the games that have ended">
        <Reliability bins={season.calibration} name="all plays" />
      </Panel>
      <div class="stack">
        <Panel title="Most exciting" hint={<Def term="Excitement" />}>
          <Best
            games={best(({ excitement }) => excitement)}
            read={({ excitement }) => excitement.toFixed(1)}
            id="most-exciting"
          />
        </Panel>
        <Panel title="Biggest comebacks" hint={<Def term="Comeback">won from</Def>}>
          <Best
            games={best(({ comeback }) => comeback)}
            read={({ comeback }) => percentText(1 - comeback)}
            id="comebacks"
          />
        </Panel>
      </div>
      <Results games={games} />
    </div>
  );
}

function Tile(props: {
  name: JSX.Element | string;
  value: string;
  raw: number | null;
}): JSX.Element {
  return (
    <div class="tile">
      <dt>{props.name}</dt>
      <dd data-raw={props.raw ?? ""}>{props.value}</dd>
    </div>
  );
}

interface BestProps {
  readonly games: readonly SeasonGame[];
  readonly read: (game: SeasonGame) => string;
  readonly id: string;
}

function Best({ games, read, id }: BestProps): JSX.Element {
  return (
    <ol class="best" id={id}>
      {games.map((game) => (
        <li key={game.id} data-game={game.id}>
          <a
            href={gameHref(game.id)}
          >{`${game.away} ${game.awayScore} – ${game.homeScore} ${game.home}`}</a>
          <small>{` ${game.date}`}</small>
          <b>{read(game)}</b>
        </li>
      ))}
    </ol>
  );
}

function Results({ games }: { games: readonly SeasonGame[] }): JSX.Element {
  const [shown, setShown] = useState(STEP);
  return (
    <Panel title="Results" hint={`${games.length} games`} class="wide">
      <div class="scroll" tabIndex={0} role="region" aria-label="Results">
        <table class="results">
          <thead>
            <tr>
              <th scope="col">Game</th>
              <th scope="col">Date</th>
              <th scope="col">Score</th>
              <th scope="col">
                <abbr title="Chance of the home team before tip-off">Before</abbr>
              </th>
              <th scope="col">
                <Def term="Excitement" />
              </th>
              <th scope="col">
                <Def term="Comeback">Won from</Def>
              </th>
              <th scope="col">
                <Def term="Brier" />
              </th>
            </tr>
          </thead>
          <tbody>
            {games.slice(0, shown).map((game) => (
              <tr key={game.id} data-game={game.id}>
                <th scope="row">
                  <a href={gameHref(game.id)}>{`${game.away} at ${game.home}`}</a>
                </th>
                <td>{game.date}</td>
                <td>{`${game.awayScore}–${game.homeScore}${game.periods > 4 ? " OT" : ""}`}</td>
                <td>{percentText(game.pregame)}</td>
                <td>{game.excitement.toFixed(1)}</td>
                <td>{percentText(1 - game.comeback)}</td>
                <td>{game.brier.toFixed(3)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {games.length > shown && (
        <p class="note">
          <button type="button" onClick={() => setShown(shown + STEP)}>
            More
          </button>
        </p>
      )}
    </Panel>
  );
}
