import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

/** The runbook names every metric and every alert, and nothing that is not there any more. */

const ROOT = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const runbook = read("docs/RUNBOOK.md");
const rules = read("deploy/k8s/components/prometheus/rules.yaml");

/** Names in the calls that make instruments; a name that is put together of parts would be missed, so none is. */
function metricsInCode(): { readonly name: string; readonly kind: string }[] {
  const files = execFileSync("git", ["ls-files", "*.ts"], { cwd: ROOT, encoding: "utf8" })
    .split("\n")
    .filter((path) => path !== "" && !/\.test\.ts$|^tests\/|^testing\/|^proto\/gen/.test(path))
    .filter((path) => existsSync(join(ROOT, path)));
  return files.flatMap((path) =>
    [
      ...read(path).matchAll(
        /\b(counter|histogram|gauge|createObservable(?:Counter|Gauge)|published)\(\s*"([a-z][\w.]*\.[\w.]+)"/g,
      ),
    ].map(([, kind = "", name = ""]) => ({ kind, name })),
  );
}

const listed = [...runbook.matchAll(/^\| `([a-z][\w.]*)`/gm)].map(([, name = ""]) => name);

test("every metric has a row in the runbook, and every row a metric", () => {
  const names = [...new Set(metricsInCode().map(({ name }) => name))];
  expect(names.length).toBeGreaterThan(30);
  expect(listed.toSorted()).toEqual(names.toSorted());
});

test("instruments are named by plain texts, so that the runbook can be held to them", () => {
  const files = execFileSync("git", ["ls-files", "*.ts"], { cwd: ROOT, encoding: "utf8" })
    .split("\n")
    .filter((path) => path !== "" && !/\.test\.ts$|^tests\/|^telemetry\//.test(path))
    .filter((path) => existsSync(join(ROOT, path)));
  const offences = files.filter((path) =>
    /metrics\.(?:counter|histogram|gauge)\(\s*`/.test(read(path)),
  );
  expect(offences).toEqual([]);
});

test("every alert has a section, and every section an alert", () => {
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
  const sections = [...(runbook.split("## Alerts\n")[1] ?? "").matchAll(/^### (\w+)/gm)].map(
    ([, name = ""]) => name,
  );
  expect(sections.toSorted()).toEqual(alerts.toSorted());
  for (const part of (runbook.split("## Alerts\n")[1] ?? "").split(/^### /m).slice(1)) {
    expect(part).toContain("**Look**");
    expect(part).toContain("**Fix**");
  }
});

test("every alert of Grafana has a row, and every row an alert", () => {
  const source = read("dashboard/grafana/alerts.ts");
  const titles = [...source.matchAll(/^ {4}title: "([^"]+)"/gm)].map(([, title = ""]) => title);
  const part = runbook.split("## Alerts in Grafana")[1]?.split("## Alerts\n")[0] ?? "";
  const rows = [...part.matchAll(/^\| ([A-Z][^|]*?) +\|/gm)].map(([, title = ""]) => title);
  expect(titles.length).toBeGreaterThan(3);
  expect(rows.toSorted()).toEqual(titles.toSorted());
});

test("the rules ask for metrics that are there, by the names that Prometheus gives them", () => {
  const names = new Set(
    metricsInCode().flatMap(({ name, kind }) => {
      const base = name.replaceAll(".", "_");
      return [base, `${base}_total`, `${base}_bucket`, `${base}_count`, `${base}_sum`].slice(
        /counter/i.test(kind) ? 1 : 0,
      );
    }),
  );
  const asked = [...rules.matchAll(/\b(?:courtside|nodejs|process)_[a-z0-9_]+/g)].map(
    ([name]) => name,
  );
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter((name) => !names.has(name))).toEqual([]);
});
