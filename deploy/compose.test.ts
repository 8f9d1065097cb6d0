import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { newestDebianPackage } from "../tests/support/debian.ts";

/** The compose file and the manifests describe one system: what both say must agree. */

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly env_file?: readonly string[];
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

const text = (path: string): string => readFileSync(join(import.meta.dirname, path), "utf8");
const { services, volumes } = parse(text("compose.yaml"), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const base = parse(text("k8s/base/kustomization.yaml")) as {
  readonly images: readonly { readonly name: string; readonly newTag: string }[];
};
/** `NATS_INSIGHT_PASSWORD=…` of both files of the local overlay. */
const passwords = new Map(
  ["nats", "clickhouse"].flatMap((name) =>
    text(`k8s/overlays/kind/${name}.env`)
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => line.split("=") as [string, string]),
  ),
);

const plugin = await newestDebianPackage("docker-compose");

test.skipIf(plugin === undefined)("docker compose takes the file", () => {
  const program = join(plugin ?? "", "usr/libexec/docker/cli-plugins/docker-compose");
  const file = join(import.meta.dirname, "compose.yaml");
  const names = execFileSync(program, ["-f", file, "config", "--services"], { encoding: "utf8" });
  expect(names.trim().split("\n").toSorted()).toEqual(Object.keys(services).toSorted());
});

test("images are those of the manifests", () => {
  for (const { name, newTag } of base.images.filter((image) => image.name !== "courtside"))
    expect(Object.values(services).map(({ image }) => image)).toContain(`${name}:${newTag}`);
});

test("every role logs in with the password that the broker and the store have for it", () => {
  let checked = 0;
  for (const { environment = {} } of Object.values(services))
    for (const url of [
      environment["COURTSIDE_NATS_URL"],
      environment["COURTSIDE_CLICKHOUSE_URL"],
    ]) {
      if (url === undefined) continue;
      const { username, password, hostname } = new URL(url);
      const variable = `${hostname.toUpperCase()}_${username.toUpperCase()}_PASSWORD`;
      expect([variable, password]).toEqual([variable, passwords.get(variable)]);
      checked += 1;
    }
  expect(checked).toBeGreaterThan(8);
});

test("files, volumes and services that are named are there", () => {
  for (const { volumes: mounts = [], env_file = [], depends_on = {} } of Object.values(services)) {
    for (const file of env_file)
      expect([file, existsSync(join(import.meta.dirname, file))]).toEqual([file, true]);
    for (const mount of mounts) {
      const [from = ""] = mount.split(":");
      const found = from.startsWith(".")
        ? existsSync(join(import.meta.dirname, from))
        : from in volumes;
      expect([mount, found]).toEqual([mount, true]);
    }
    for (const name of Object.keys(depends_on)) expect(Object.keys(services)).toContain(name);
  }
});

test("nothing is published beyond this machine", () => {
  for (const { ports = [] } of Object.values(services))
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});
