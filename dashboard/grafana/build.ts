import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { FOLDER, alertRules } from "./alerts.ts";
import { clickhouseBoard } from "./boards/clickhouse.ts";
import { driftBoard } from "./boards/drift.ts";
import { gameBoard } from "./boards/game.ts";
import { pipelineBoard } from "./boards/pipeline.ts";
import { seasonBoard } from "./boards/season.ts";
import { tracesBoard } from "./boards/traces.ts";
import { DATASOURCE } from "./query.ts";

/** Where Grafana's files are; its image has them inside, for the compose file and Kubernetes alike. */
export const OUTPUT = join(import.meta.dirname, "../../deploy/grafana/files");

/** All boards, as Grafana keeps them. */
export function boards(): Dashboard[] {
  return [gameBoard, seasonBoard, driftBoard, pipelineBoard, tracesBoard, clickhouseBoard].map(
    (make) => make().build(),
  );
}

/** Every file by its path below `OUTPUT`. */
export function grafanaFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const board of boards())
    files.set(`${String(board.uid)}.json`, `${JSON.stringify(board, null, 2)}\n`);
  files.set("datasource.yaml", json(DATASOURCE_FILE));
  files.set("boards.yaml", json(PROVIDER_FILE));
  // Grafana takes $NAME in these files from its environment; $$ is a dollar.
  files.set("alerts.yaml", json(alertsFile()).replaceAll("$", "$$$$"));
  return files;
}

/** JSON is YAML, and needs no writer of its own. */
function json(value: unknown): string {
  return `# Made by dashboard/grafana/build.ts; run "npm run grafana" to make it again.\n${JSON.stringify(value, null, 2)}\n`;
}

const DATASOURCE_FILE = {
  apiVersion: 1,
  datasources: [
    {
      name: "ClickHouse",
      type: DATASOURCE.type,
      uid: DATASOURCE.uid,
      access: "proxy",
      isDefault: true,
      editable: false,
      jsonData: {
        host: "$CLICKHOUSE_HOST",
        port: 8123,
        protocol: "http",
        secure: false,
        username: "$CLICKHOUSE_USER",
        defaultDatabase: "courtside",
        validateSql: true,
        queryTimeout: "20",
        traces: {
          defaultDatabase: "courtside",
          defaultTable: "otel_traces",
          otelEnabled: true,
          otelVersion: "latest",
          durationUnit: "nanoseconds",
        },
      },
      secureJsonData: { password: "$CLICKHOUSE_READER_PASSWORD" },
    },
  ],
};

const PROVIDER_FILE = {
  apiVersion: 1,
  providers: [
    {
      name: "courtside",
      folder: FOLDER,
      folderUid: "courtside",
      type: "file",
      disableDeletion: true,
      allowUiUpdates: false,
      options: { path: "/etc/grafana/courtside" },
    },
  ],
};

/** Rules in the form of file provisioning, which names the folder where the API has its uid. */
function alertsFile(): unknown {
  const { title, interval, rules = [] } = alertRules();
  return {
    apiVersion: 1,
    groups: [
      {
        orgId: 1,
        name: title,
        folder: FOLDER,
        interval: `${String(interval)}s`,
        rules: rules.map(({ folderUID: _folder, ruleGroup: _group, orgID: _org, ...rule }) => rule),
      },
    ],
  };
}

/** Writes what has changed and removes what is no longer made. @returns names of the files that were not as made */
export async function writeGrafana(folder: string, onlyCheck: boolean): Promise<string[]> {
  const files = grafanaFiles();
  const stale: string[] = [];
  const present = await readdir(folder).catch(() => []);
  for (const [name, text] of files) {
    const path = join(folder, name);
    if ((await readFile(path, "utf8").catch(() => "")) === text) continue;
    stale.push(name);
    if (onlyCheck) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  for (const name of present.filter((each) => !files.has(each))) {
    stale.push(name);
    if (!onlyCheck) await rm(join(folder, name));
  }
  return stale;
}

if (import.meta.main) {
  const onlyCheck = process.argv.includes("--check");
  const stale = await writeGrafana(OUTPUT, onlyCheck);
  process.stdout.write(
    stale.length === 0
      ? "Grafana's files are as the sources make them\n"
      : `${onlyCheck ? "not as the sources make them" : "written"}: ${stale.join(", ")}\n`,
  );
  if (onlyCheck && stale.length > 0) process.exitCode = 1;
}
