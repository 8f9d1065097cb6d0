import { CourtsideError } from "../../base/errors.ts";
import { list, member, parseJson, text } from "../readers/json-cells.ts";
import { request } from "./download.ts";

/**
 * The public archive that seasons come from: github.com/shufinskiy/nba_data, one `.tar.xz` a season, part of the
 * season and feed. Its scripts are Apache-2.0; the data in it stays the NBA's.
 */
export const ARCHIVE_URL = "https://api.github.com/repos/shufinskiy/nba_data/contents/datasets";

/** Feeds of the archive that the readers know, by the name they have on the command line. */
export const ARCHIVE_FEEDS = { v3: "nbastatsv3", v2: "nbastats" } as const;
export type ArchiveFeed = keyof typeof ARCHIVE_FEEDS;

/** First season of the archive. */
export const FIRST_SEASON = 1996;

/** The archive's list has half a megabyte. */
const LIST_MAX_BYTES = 16 * 1024 * 1024;

/** A file of the archive. */
export interface ArchiveFile {
  /** For example `nbastatsv3_2023.tar.xz`; playoffs are `nbastatsv3_po_2023.tar.xz`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Checksum that the archive publishes: SHA-1 of `blob <size>\0` and the content, as git has it. */
  readonly gitSha1: string;
  readonly url: string;
}

/** The archive answers, but not with a list of files. */
export class ArchiveListError extends CourtsideError {
  override readonly code = "ARCHIVE_LIST";
  override readonly retryable = false;

  constructor(url: string) {
    super(`${url}: the answer is no list of files; is this the address of the archive?`);
  }
}

/**
 * The play-by-play files of the archive.
 * @param url - of the list, in the form of the GitHub contents API.
 * @throws DownloadError, ArchiveListError
 */
export async function listArchive(url: string, signal: AbortSignal): Promise<ArchiveFile[]> {
  const response = await request(url, { signal });
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const bytes of response.body) {
    parts.push(bytes);
    sizeBytes += bytes.length;
    if (sizeBytes > LIST_MAX_BYTES) throw new ArchiveListError(url);
  }
  const entries = parseJson(Buffer.concat(parts).toString());
  const files = list(entries).flatMap((entry) => {
    const name = text(member(entry, "name"));
    const size = Number(text(member(entry, "size")));
    const gitSha1 = text(member(entry, "sha"));
    const link = text(member(entry, "download_url"));
    const isWhole = /^[\w.-]+$/.test(name) && /^[0-9a-f]{40}$/.test(gitSha1) && size > 0;
    if (!isWhole || !URL.canParse(link)) return [];
    return [{ name, sizeBytes: size, gitSha1, url: link }];
  });
  if (files.length === 0) throw new ArchiveListError(url);
  return files;
}

/** Name of a season's file. @param season - year in which it starts. */
export function archiveName(feed: ArchiveFeed, season: number, playoffs: boolean): string {
  return `${ARCHIVE_FEEDS[feed]}${playoffs ? "_po" : ""}_${season}.tar.xz`;
}
