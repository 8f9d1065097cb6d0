import { createContext, type JSX } from "preact";
import { useContext } from "preact/hooks";
import { type About } from "../wire-views.ts";

/** What the page was started with; null until it is known. */
export const AboutContext = createContext<About | null>(null);

export function useAbout(): About | null {
  return useContext(AboutContext);
}

interface GrafanaLinkProps {
  /** Uid of the dashboard, as in dashboard/grafana. */
  readonly board: string;
  /** Variables, without their prefix. */
  readonly values?: Readonly<Record<string, string>>;
}

/** A link to the same thing in Grafana; nothing where there is no Grafana. */
export function GrafanaLink({ board, values = {} }: GrafanaLinkProps): JSX.Element | null {
  const about = useAbout();
  if (about === null || about.grafanaUrl === null) return null;
  const query = new URLSearchParams(
    Object.entries(values).map(([name, value]) => [`var-${name}`, value]),
  );
  const base = about.grafanaUrl.replace(/\/+$/u, "");
  return (
    <a class="grafana" href={`${base}/d/${board}?${query.toString()}`} rel="noreferrer">
      Grafana ↗
    </a>
  );
}
