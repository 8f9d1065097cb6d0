import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Browser, chromium } from "playwright-core";
import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Makes the pictures of the README from the page over a generated evening: `npm run pictures`. Invented teams and players
 * only, so that no feed's data is in the repository. Needs Chromium (COURTSIDE_CHROMIUM, default /usr/bin/chromium).
 */

const ROOT = join(import.meta.dirname, "..");
const IMAGES = join(ROOT, "docs/images");
const CHROMIUM = process.env["COURTSIDE_CHROMIUM"] ?? "/usr/bin/chromium";
/** Long enough that some games have ended and others are in their last quarter. */
const EVENING_S = 55;

interface Picture {
  readonly name: string;
  readonly hash: (games: readonly Summary[]) => string;
  readonly scheme: "dark" | "light";
  readonly width: number;
  readonly height: number;
}

interface Summary {
  readonly id: string;
  readonly status: string;
  readonly excitement: number;
  readonly plays: number;
}

const liveliest = (games: readonly Summary[]): string =>
  games.toSorted((a, b) => b.excitement - a.excitement)[0]?.id ?? "";

const PICTURES: readonly Picture[] = [
  {
    name: "live-page",
    hash: (games) => `#/game/${liveliest(games)}`,
    scheme: "light",
    width: 1440,
    height: 1400,
  },
  { name: "tonight", hash: () => "#/", scheme: "dark", width: 1440, height: 560 },
  {
    name: "time-travel",
    hash: (games) => `#/game/${liveliest(games)}/play/240`,
    scheme: "dark",
    width: 1440,
    height: 1500,
  },
  { name: "pipeline", hash: () => "#/pipeline", scheme: "light", width: 1440, height: 1000 },
];

const data = await mkdtemp(join(tmpdir(), "courtside-pictures-"));
const flags = [
  "--port-base=0",
  "--games=12",
  "--concurrent=8",
  "--seed=7",
  "--speed=180",
  "--trace-rate=0.3",
];
const up = spawn(
  process.execPath,
  [join(ROOT, "cli/main.ts"), "up", ...flags, "--no-open", `--data=${data}`],
  {
    stdio: ["ignore", "pipe", "inherit"],
  },
);
let said = "";
up.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
try {
  let url: string | undefined;
  while ((url = /http:\/\/127\.0\.0\.1:\d+\//u.exec(said)?.[0]) === undefined) await delay(200);
  await delay(EVENING_S * 1_000);
  const { games } = (await (await fetch(`${url}api/games`)).json()) as { games: Summary[] };
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  for (const picture of PICTURES) await take(browser, url, picture, games);
  await browser.close();
} finally {
  const gone = once(up, "exit");
  up.kill("SIGTERM");
  await gone;
  await rm(data, { recursive: true, force: true });
}

async function take(
  browser: Browser,
  url: string,
  { name, hash, scheme, width, height }: Picture,
  games: readonly Summary[],
): Promise<void> {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
  await page.goto(url + hash(games));
  // The first frame has the snapshot; what is asked for afterwards takes a second.
  await delay(2_500);
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  await page.close();
  process.stderr.write(`docs/images/${name}.png\n`);
}
