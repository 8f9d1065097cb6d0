import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { toBinary } from "@bufbuild/protobuf";
import { afterAll, expect, test, vi } from "vitest";
import { CourtsideError } from "../../base/errors.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import {
  DeadLetterSchema,
  GameInfoSchema,
  PlayEventSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { NoGamesError, openSource, UnknownFeedError } from "./mod.ts";

vi.setConfig({ testTimeout: 300_000 });

const SEED = Number(process.env["SEED"] ?? 20241022);
/** Over all samples together. */
const MUTATIONS = 10_000;
/** One damaged sample of forty rows takes a millisecond; a reader that needs this long is stuck. */
const CASE_MAX_MS = 5_000;
const ROWS = 40;

const FIXTURES = path.join(import.meta.dirname, "../fixtures/pbp");
const NBA = process.env["COURTSIDE_NBA"] ?? path.join(import.meta.dirname, "../../../shared/nba");
/** Node packs no xz: one archive stands for all. */
const TAR_XZ = readFileSync(path.join(FIXTURES, "../packed/stats_v3.tar.xz"));
const folder = mkdtempSync(path.join(tmpdir(), "courtside-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Sample {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The beginnings of the invented fixtures, and of the real samples where they are. */
function samples(): Sample[] {
  const invented = [
    "stats_v3.csv",
    "stats_v2.csv",
    "cdn_archive.csv",
    "processed.csv",
    "cdn_live.jsonl",
    "data_nba.json",
    "espn.json",
    "basketball_reference_2031-11-12.csv",
  ];
  const real = [
    "pbp/v3_2023-24_regular.csv.gz",
    "pbp/v2_2018-19_regular.csv.gz",
    "pbp/cdn_2023-24_regular.csv.gz",
    "pbp/proc_2019-20_seeding.csv.gz",
    "fixtures/cdn_playbyplay_0022000001.json",
    "fixtures/cdn_raw_60_games_2025-02.jsonl.gz",
    "fixtures/datanba_pbp_0021600270.json",
    "fixtures/stats_playbyplayv2_0021900001.json",
    "fixtures/stats_playbyplayv3_0022400001.json",
    "fixtures/espn_summary_excerpt_401585076.json",
    "fixtures/bbref_scraped_pbp_2018-10-16_BOS.csv",
  ];
  const files = [
    ...invented.map((name) => path.join(FIXTURES, name)),
    ...real.map((name) => path.join(NBA, name)).filter((file) => existsSync(file)),
  ];
  return files.map((file) => {
    const name = path.basename(file);
    const packed = readFileSync(file);
    const whole = name.endsWith(".gz") ? gunzipSync(packed) : packed;
    return { name, bytes: beginning(name, whole) };
  });
}

function beginning(name: string, whole: Buffer): Buffer {
  if (/\.csv/.test(name)) {
    return Buffer.from(whole.toString("utf8", 0, 100_000).split("\n").slice(0, ROWS).join("\n"));
  }
  const text = name.includes("jsonl") ? (whole.toString().split("\n")[0] ?? "") : whole.toString();
  return Buffer.from(JSON.stringify(shortened(JSON.parse(text))));
}

/** The same document with at most ROWS elements in each list. */
function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, ROWS).map(shortened);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shortened(each)]));
}

const TEXTS = ["", "-1", "99999999999999999999", "1e308", "NaN", "null", "\u0000", '"', "PT99M99S"];
const VALUES = [null, -1, 1e308, 2 ** 53, "", "x".repeat(5000), [], {}, true, [[[[]]]], 0.5];

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const MUTATIONS_BY_NAME: Readonly<Record<string, Mutation>> = {
  "truncated at any byte": (bytes, random) => bytes.subarray(0, random.int(bytes.length)),
  "with random bytes changed": (bytes, random) => {
    const changed = Buffer.from(bytes);
    for (let n = 1 + random.int(20); n > 0; n--) {
      changed[random.int(changed.length)] = random.int(256);
    }
    return changed;
  },
  "with a stretch cut out": (bytes, random) => {
    const from = random.int(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + random.int(200))]);
  },
  "with fields or members missing": (bytes, random) =>
    edit(bytes, random, { field: () => undefined, value: () => undefined }),
  "with wrong types and huge numbers": (bytes, random) =>
    edit(bytes, random, {
      field: () => TEXTS[random.int(TEXTS.length)] ?? "",
      value: () => VALUES[random.int(VALUES.length)],
    }),
  "in another encoding": (bytes, random) => {
    const text = bytes.toString();
    const other = [
      Buffer.from(text, "latin1"),
      Buffer.from(text, "utf16le"),
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]),
      Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, "utf16le").swap16()]),
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
      Buffer.from(text.replaceAll("\n", "\r")),
      Buffer.from(text.replaceAll("a", "\u0101"), "latin1"),
    ];
    return other[random.int(other.length)] ?? bytes;
  },
  "with lines in another order or twice": (bytes, random) => {
    const lines = bytes.toString().split("\n");
    for (let n = 5; n > 0; n--) {
      const line = lines[random.int(lines.length)] ?? "";
      lines.splice(random.int(lines.length), random.int(2), line);
    }
    return Buffer.from(lines.join("\n"));
  },
  "packed and damaged": (bytes, random) => {
    const ways = [gzipSync, zstdCompressSync, () => TAR_XZ];
    const packed = Buffer.from(ways[random.int(ways.length)]?.(bytes) ?? bytes);
    if (random.int(2) === 0) return packed.subarray(0, random.int(packed.length));
    packed[random.int(packed.length)] = random.int(256);
    return packed;
  },
};

/** Changes a few fields of a table, or members of a document. */
function edit(
  bytes: Buffer,
  random: Random,
  change: { field(): string | undefined; value(): unknown },
): Buffer {
  const text = bytes.toString();
  if (!text.startsWith("{")) {
    const lines = text.split("\n");
    for (let n = 1 + random.int(5); n > 0; n--) {
      const at = random.int(lines.length);
      const fields = (lines[at] ?? "").split(",");
      const column = random.int(fields.length);
      const field = change.field();
      fields.splice(column, 1, ...(field === undefined ? [] : [field]));
      lines[at] = fields.join(",");
    }
    return Buffer.from(lines.join("\n"));
  }
  const document = JSON.parse(text) as unknown;
  const holders: Record<string, unknown>[] = [];
  collect(document, holders);
  for (let n = 1 + random.int(5); n > 0; n--) {
    const holder = holders[random.int(holders.length)] ?? {};
    const keys = Object.keys(holder);
    const key = keys[random.int(keys.length)];
    if (key === undefined) continue;
    const value = change.value();
    if (value === undefined) Reflect.deleteProperty(holder, key);
    else holder[key] = value;
  }
  return Buffer.from(JSON.stringify(document));
}

function collect(value: unknown, holders: Record<string, unknown>[]): void {
  if (typeof value !== "object" || value === null) return;
  holders.push(value as Record<string, unknown>);
  for (const each of Object.values(value)) collect(each, holders);
}

/** Reads a damaged file; what is wrong with the result, undefined when all is as promised. */
async function problemOf(file: string): Promise<string | undefined> {
  try {
    for await (const { info, plays, deadLetters, rows } of openSource(file)) {
      if (plays.length + deadLetters.length !== rows) return "rows are missing";
      if (plays.some((play, at) => play.playNumber !== at + 1)) return "play numbers have gaps";
      if (deadLetters.some(({ reason, message }) => reason === "" || message === "")) {
        return "a dead letter without reason";
      }
      // The encoder checks the range of every number.
      toBinary(GameInfoSchema, info);
      for (const play of plays) toBinary(PlayEventSchema, play);
      for (const letter of deadLetters) toBinary(DeadLetterSchema, letter);
    }
  } catch (error) {
    if (error instanceof UnknownFeedError || error instanceof NoGamesError) return undefined;
    if (error instanceof CourtsideError) return `unexpected ${error.code}`;
    return error instanceof Error ? error.stack : String(error);
  }
  return undefined;
}

const found = samples();
const names = Object.keys(MUTATIONS_BY_NAME);

test.each(names)(
  "a sampled file %s never crashes or hangs a reader: rows are plays or dead letters",
  async (name) => {
    const mutate = MUTATIONS_BY_NAME[name] as Mutation;
    const random = seededRandom(SEED).fork(name);
    const problems: string[] = [];
    const cases = Math.ceil(MUTATIONS / names.length);
    for (let at = 0; at < cases && problems.length < 3; at++) {
      const sample = found[at % found.length] as Sample;
      const day = /\d{4}-\d\d-\d\d/.exec(sample.name)?.[0] ?? "";
      const file = path.join(folder, `${names.indexOf(name)}-${day}.dat`);
      writeFileSync(file, mutate(sample.bytes, random));
      const startMs = performance.now();
      const problem = await problemOf(file);
      const tookMs = performance.now() - startMs;
      if (problem !== undefined)
        problems.push(`SEED=${SEED} ${sample.name} case ${at}: ${problem}`);
      if (tookMs > CASE_MAX_MS) problems.push(`${sample.name} case ${at} took ${tookMs} ms`);
    }
    expect(problems).toEqual([]);
  },
);
