import { mkdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { CourtsideError, UsageError } from "../../base/errors.ts";
import {
  ARCHIVE_FEEDS,
  ARCHIVE_URL,
  type ArchiveFeed,
  type ArchiveFile,
  archiveName,
  FIRST_SEASON,
  listArchive,
} from "../../data/fetch/archive.ts";
import { download } from "../../data/fetch/download.ts";
import { type Command, type CommandContext } from "../command.ts";
import { textFlag } from "../flags.ts";
import { createProgress, standardError } from "../io.ts";

const MB = 1e6;

/** `courtside fetch`: seasons from a public archive into a folder. */
export const command: Command = {
  name: "fetch",
  summary: "download seasons from a public archive",
  help: `
courtside fetch --season 2023-24                     the regular season to ./seasons
courtside fetch --season 2022-23 --season 2023-24 --playoffs
courtside fetch --list                               what the archive has
courtside up --source seasons/nbastatsv3_2023.tar.xz --speed max --until-done

The archive is github.com/shufinskiy/nba_data, kept by a third person. Play-by-play is the NBA's: you fetch it
yourself, for yourself, under the terms of its owners (nba.com/termsofuse) and of the archive; Courtside ships none.

  --season S     season to fetch, 2023-24 or 2023; may be given several times
  --feed F       v3 (default) or v2: play-by-play of stats.nba.com, version 3 or 2
  --playoffs     the playoffs too
  --to DIR       folder to put the files in (default: seasons)
  --list         list the files instead
  --url URL      list of the archive's files, in the form of the GitHub contents API
  --json         one JSON object a file

A download that breaks off goes on where it was, also after Ctrl-C. Each file is checked against the checksum that the
archive publishes; one that is there and right is not fetched again. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured.
Exit code 1 when a file could not be fetched; the others are fetched all the same.
`,
  options: {
    season: { type: "string", multiple: true },
    feed: { type: "string", default: "v3" },
    playoffs: { type: "boolean" },
    to: { type: "string", default: "seasons" },
    list: { type: "boolean" },
    url: { type: "string", default: ARCHIVE_URL },
    json: { type: "boolean" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { values, positionals, signal } = context;
  if (positionals[0] !== undefined) {
    throw new UsageError(`fetch takes no "${positionals[0]}"; name seasons with --season`);
  }
  const url = textFlag(values, "url") ?? ARCHIVE_URL;
  if (!URL.canParse(url)) throw new UsageError(`--url must be an address, not "${url}"`);
  const wanted = values["list"] === true ? [] : wantedNames(values);
  const restoreProxy = http.setGlobalProxyFromEnv();
  try {
    const archive = await listArchive(url, signal);
    if (values["list"] === true) {
      context.stdout(listing(archive));
      return 0;
    }
    return await fetchAll(context, archive, wanted);
  } finally {
    restoreProxy();
  }
}

function wantedNames(values: CommandContext["values"]): string[] {
  const feed = textFlag(values, "feed") ?? "v3";
  if (!(feed in ARCHIVE_FEEDS)) {
    throw new UsageError(
      `--feed must be ${Object.keys(ARCHIVE_FEEDS).join(" or ")}, not "${feed}"`,
    );
  }
  const seasons = values["season"];
  if (!Array.isArray(seasons) || seasons.length === 0) {
    throw new UsageError("which season? for example --season 2023-24, or --list");
  }
  const parts = values["playoffs"] === true ? [false, true] : [false];
  return seasons.flatMap((season) =>
    parts.map((part) => archiveName(feed as ArchiveFeed, seasonYear(String(season)), part)),
  );
}

/** Year in which a season starts: 2023 of `2023-24` and of `2023`. */
function seasonYear(text: string): number {
  const match = /^(\d{4})(?:-(\d\d))?$/.exec(text);
  const year = Number(match?.[1]);
  const isPair = match?.[2] === undefined || Number(match[2]) === (year + 1) % 100;
  if (match !== null && isPair && year >= FIRST_SEASON) return year;
  throw new UsageError(
    `--season must be a season such as 2023-24, from ${FIRST_SEASON}-97 on, not "${text}"`,
  );
}

function listing(archive: readonly ArchiveFile[]): string {
  const feeds = Object.values(ARCHIVE_FEEDS).map((feed) => `${feed}_`);
  const readable = archive.filter(({ name }) => feeds.some((feed) => name.startsWith(feed)));
  return readable
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, sizeBytes }) => `${megabytes(sizeBytes).padStart(9)}  ${name}\n`)
    .join("");
}

async function fetchAll(
  context: CommandContext,
  archive: readonly ArchiveFile[],
  wanted: readonly string[],
): Promise<number> {
  const folder = textFlag(context.values, "to") ?? "seasons";
  const isJson = context.values["json"] === true;
  await mkdir(folder, { recursive: true });
  let failed = 0;
  for (const name of new Set(wanted)) {
    const result = await fetchOne(context, archive, name, folder);
    if (result.error !== undefined) failed++;
    if (isJson) context.stdout(`${JSON.stringify(result)}\n`);
    else if (result.error !== undefined) context.stderr(`courtside: ${result.error}\n`);
    else context.stdout(`${result.outcome} ${result.file} (${megabytes(result.size_bytes)})\n`);
  }
  return failed === 0 ? 0 : 1;
}

interface FetchResult {
  readonly file: string;
  readonly outcome: string;
  readonly size_bytes: number;
  readonly git_sha1?: string;
  readonly error?: string;
}

async function fetchOne(
  { signal }: CommandContext,
  archive: readonly ArchiveFile[],
  name: string,
  folder: string,
): Promise<FetchResult> {
  const file = path.join(folder, name);
  const entry = archive.find((each) => each.name === name);
  if (entry === undefined) {
    const error = `the archive has no ${name}; see courtside fetch --list [NOT_IN_ARCHIVE]`;
    return { file, outcome: "missing", size_bytes: 0, error };
  }
  const progress = createProgress(standardError(), "fetch");
  const { sizeBytes, gitSha1 } = entry;
  try {
    const outcome = await download(entry, file, {
      signal,
      onProgress: (doneBytes) => {
        progress.update(doneBytes, sizeBytes, `bytes of ${name}`);
      },
    });
    return { file, outcome, size_bytes: sizeBytes, git_sha1: gitSha1 };
  } catch (error) {
    if (!(error instanceof CourtsideError)) throw error;
    const said = `${error.message} [${error.code}]`;
    return { file, outcome: "failed", size_bytes: sizeBytes, error: said };
  } finally {
    progress.finish();
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}
