/** Small charts as SVG; each has its numbers beside it as a table, for those who do not see it. */
import { type JSX } from "preact";
import { percentText, share } from "./format.ts";

export interface BinPoint {
  readonly predicted: number;
  readonly observed: number;
  readonly plays: number;
}

/** What was predicted against what happened; on the diagonal the model says what it knows. */
export function Reliability({
  bins,
  name,
}: {
  bins: readonly BinPoint[];
  name: string;
}): JSX.Element {
  const most = Math.max(1, ...bins.map(({ plays }) => plays));
  const at = (value: number): number => value * 100;
  return (
    <figure class="reliability" data-bins={bins.length}>
      <svg viewBox="-9 -3 112 113" role="img" aria-label={`Reliability of ${name}`}>
        <path
          class="grid"
          d="M0 0H100V100H0Z M0 25H100 M0 50H100 M0 75H100 M25 0V100 M50 0V100 M75 0V100"
        />
        <path class="even" d="M0 100L100 0" />
        <polyline
          class="line"
          points={bins
            .map(({ predicted, observed }) => `${at(predicted)},${100 - at(observed)}`)
            .join(" ")}
        />
        {bins.map(({ predicted, observed, plays }) => (
          <circle
            key={predicted}
            cx={at(predicted)}
            cy={100 - at(observed)}
            r={1 + 2.6 * Math.sqrt(plays / most)}
          >
            <title>{`said ${percentText(predicted)}, happened ${percentText(observed)}, ${plays} plays`}</title>
          </circle>
        ))}
        <g class="axis">
          <text x="0" y="107">
            0%
          </text>
          <text x="50" y="107" text-anchor="middle">
            said
          </text>
          <text x="100" y="107" text-anchor="end">
            100%
          </text>
          <text x="-3" y="50" text-anchor="middle" transform="rotate(-90 -3 50)">
            happened
          </text>
        </g>
      </svg>
      <details>
        <summary>Numbers</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Said</th>
              <th scope="col">Happened</th>
              <th scope="col">Plays</th>
            </tr>
          </thead>
          <tbody>
            {bins.map(({ predicted, observed, plays }) => (
              <tr key={predicted}>
                <td>{share(predicted)}</td>
                <td>{share(observed)}</td>
                <td>{plays}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

interface LinesProps {
  readonly name: string;
  readonly series: readonly { readonly label: string; readonly values: readonly number[] }[];
  readonly format: (value: number) => string;
}

const WIDTH = 600;
const HEIGHT = 120;

/** Lines over equal steps of time; the scale begins at 0. */
export function Lines({ name, series, format }: LinesProps): JSX.Element {
  const most = Math.max(1e-9, ...series.flatMap(({ values }) => values));
  return (
    <figure class="lines">
      <figcaption>
        <b>{name}</b>
        <span>
          {series.map(({ label, values }, at) => (
            <span
              key={label}
              class={`series s${at}`}
            >{` ${label} ${values.length === 0 ? "–" : format(values.at(-1) ?? 0)}`}</span>
          ))}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <path class="grid" d={`M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
        {series.map(({ label, values }, index) => (
          <polyline
            key={label}
            class={`s${index}`}
            points={values
              .map(
                (value, at) =>
                  `${(at / Math.max(1, values.length - 1)) * WIDTH},${HEIGHT - (value / most) * (HEIGHT - 4)}`,
              )
              .join(" ")}
          />
        ))}
      </svg>
      <span class="range">
        <span>{format(0)}</span>
        <span>{format(most)}</span>
      </span>
    </figure>
  );
}

interface BarsProps {
  readonly rows: readonly {
    readonly label: string;
    readonly values: readonly { readonly name: string; readonly value: number }[];
    readonly note?: string;
  }[];
  readonly format: (value: number) => string;
}

/** Groups of bars with their numbers on them. */
export function Bars({ rows, format }: BarsProps): JSX.Element {
  const most = Math.max(1e-9, ...rows.flatMap(({ values }) => values.map(({ value }) => value)));
  return (
    <table class="bars">
      <tbody>
        {rows.map(({ label, values, note }) => (
          <tr key={label} data-label={label}>
            <th scope="row">
              {label}
              {note !== undefined && <small>{` ${note}`}</small>}
            </th>
            <td>
              {values.map(({ name, value }, at) => (
                <span key={name} class={`bar s${at}`} data-series={name}>
                  <i style={{ width: `${(value / most) * 60}%` }} />
                  <span>{`${format(value)} ${name}`}</span>
                </span>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
