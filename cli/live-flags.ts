import { UsageError } from "../base/errors.ts";
import type { CommandContext } from "./command.ts";
import { textFlag } from "./flags.ts";

/** Which games of the live feed are followed, and where it is. */
export interface LiveFlags {
  /** YYYY-MM-DD; undefined for the evening under way. */
  readonly date: string | undefined;
  /** Ids of ten digits; undefined for all games of the date. */
  readonly games: readonly string[] | undefined;
  /** Without a slash at its end; undefined for the league's own. */
  readonly feedUrl: string | undefined;
}

/** @throws UsageError naming the flag and what it takes. */
export function readLiveFlags(values: CommandContext["values"]): LiveFlags {
  const date = textFlag(values, "date");
  if (date !== undefined && !isDate(date))
    throw new UsageError(`--date is a day such as 2025-02-05, not "${date}"`);
  const games = textFlag(values, "games")
    ?.split(",")
    .map((id) => id.trim());
  const odd = games?.find((id) => !/^00\d{8}$/.test(id));
  if (odd !== undefined)
    throw new UsageError(
      `--games takes ids of ten digits with commas between, such as 0022400710, not "${odd}"`,
    );
  return { date, games, feedUrl: readFeedUrl(textFlag(values, "feed-url")) };
}

function isDate(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(text);
}

function readFeedUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError(`--feed-url is an http(s) address, not "${text}"`);
  return url.href.replace(/\/+$/, "");
}
