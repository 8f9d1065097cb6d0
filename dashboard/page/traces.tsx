import { type JSX } from "preact";
import { useState } from "preact/hooks";
import { type WireSpan } from "../wire.ts";
import { type TracesView } from "../wire-views.ts";
import { GrafanaLink } from "./about.tsx";
import { gameHref } from "./address.ts";
import { Panel, StateOf } from "./frame.tsx";
import { durationText } from "./format.ts";
import { useView } from "./view.ts";
import { Waterfall } from "./waterfall.tsx";

const EVERY_MS = 5_000;
/** A trace may still be on its way to the store. */
const TRACE_EVERY_MS = 3_000;

interface Search {
  readonly service: string;
  readonly name: string;
  readonly minMs: string;
  readonly game: string;
}

/** Search for traces; each row leads to its waterfall. */
export function TracesPage({ game }: { game: string }): JSX.Element {
  const [search, setSearch] = useState<Search>({ service: "", name: "", minMs: "", game });
  const query = new URLSearchParams({ ...search });
  const loaded = useView<TracesView>(`api/traces?${query.toString()}`, EVERY_MS);
  const field = (name: keyof Search) => (event: Event) =>
    setSearch({ ...search, [name]: (event.currentTarget as HTMLInputElement).value });
  const services = loaded.data?.services ?? [];
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>Traces</h1>
      <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          Service
          <select value={search.service} onChange={field("service")}>
            <option value="">any</option>
            {services.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Span has in its name
          <input type="search" value={search.name} onChange={field("name")} />
        </label>
        <label>
          At least ms
          <input type="number" min="0" step="1" value={search.minMs} onChange={field("minMs")} />
        </label>
        <label>
          Game
          <input type="search" value={search.game} onChange={field("game")} placeholder="id" />
        </label>
      </form>
      <Panel
        title="Newest first"
        hint={
          <>
            a play that was sampled makes one trace <GrafanaLink board="courtside-traces" />
          </>
        }
      >
        <StateOf loaded={loaded} empty={loaded.data?.traces.length === 0 && "No trace fits."}>
          {({ traces }) => (
            <div class="scroll tall" tabIndex={0} role="region" aria-label="Traces">
              <table id="traces">
                <thead>
                  <tr>
                    <th scope="col">Trace</th>
                    <th scope="col">Start</th>
                    <th scope="col">Took</th>
                    <th scope="col">Spans</th>
                    <th scope="col">Services</th>
                    <th scope="col">Play</th>
                  </tr>
                </thead>
                <tbody>
                  {traces.map((trace) => (
                    <tr key={trace.traceId} data-trace={trace.traceId}>
                      <th scope="row">
                        <a href={`#/trace/${trace.traceId}`}>
                          {trace.root} <code>{trace.traceId.slice(0, 8)}</code>
                        </a>
                        {trace.failed && <b class="warn"> failed</b>}
                      </th>
                      <td>{new Date(trace.startMs).toISOString().slice(11, 23)}</td>
                      <td>{durationText(trace.durationMs)}</td>
                      <td class="spans">{trace.spans}</td>
                      <td>{trace.services.toSorted().join(", ")}</td>
                      <td>
                        {trace.gameId !== "" && (
                          <a href={gameHref(trace.gameId, trace.playNumber)}>
                            {`${trace.gameId} #${trace.playNumber}`}
                          </a>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </StateOf>
      </Panel>
    </main>
  );
}

/** One trace as a waterfall. */
export function TracePage({ id }: { id: string }): JSX.Element {
  const loaded = useView<readonly WireSpan[]>(
    `api/traces/${encodeURIComponent(id)}`,
    TRACE_EVERY_MS,
  );
  return (
    <main id="main" class="page" tabIndex={-1}>
      <h1>
        Trace <code>{id.slice(0, 16)}</code>
      </h1>
      <Panel
        title="Spans"
        hint={
          <>
            <a href="#/traces">all traces</a>{" "}
            <GrafanaLink board="courtside-traces" values={{ trace: id }} />
          </>
        }
      >
        <StateOf
          loaded={loaded}
          empty={loaded.data?.length === 0 && "The store has no span of this trace (yet)."}
        >
          {(spans) => <Waterfall spans={spans} />}
        </StateOf>
      </Panel>
    </main>
  );
}
