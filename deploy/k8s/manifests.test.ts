import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { newestDebianPackage } from "../../tests/support/debian.ts";
import { type KubeObject, references, render, security, strictness, workloads } from "./checks.ts";
import { accountsConf, ROLES } from "./nats-accounts.ts";

const OVERLAYS = ["kind", "minikube", "production"] as const;
/** Secrets that production leaves to whoever runs it; their keys are those of the local overlay. */
const GIVEN = {
  production: {
    secrets: {
      "courtside-nats": keysOf("nats.env"),
      "courtside-clickhouse": keysOf("clickhouse.env"),
      // Made by cert-manager.
      "serving-tls": ["tls.crt", "tls.key", "ca.crt"],
    },
  },
  kind: {},
  minikube: {},
};

function keysOf(file: string): string[] {
  const text = readFileSync(join(import.meta.dirname, "overlays/kind", file), "utf8");
  return text.split("\n").flatMap((line) => (line.includes("=") ? [line.split("=")[0] ?? ""] : []));
}

const folder = await newestDebianPackage("kustomize");
const kustomize = join(folder ?? "", "usr/bin/kustomize");

test("the broker's accounts are those that the roles make", () => {
  const committed = readFileSync(join(import.meta.dirname, "base/nats/accounts.conf"), "utf8");
  expect(committed).toBe(accountsConf());
});

test("every role of the broker has a password in the local overlay, and no other", () => {
  const wanted = Object.keys(ROLES).map((role) => `NATS_${role.toUpperCase()}_PASSWORD`);
  expect(keysOf("nats.env").toSorted()).toEqual(wanted.toSorted());
});

describe.skipIf(folder === undefined).each(OVERLAYS)("overlay %s", (overlay) => {
  let objects: KubeObject[];
  beforeAll(async () => {
    objects = await render(kustomize, join(import.meta.dirname, "overlays", overlay));
  });

  test("has fields that the API knows, with values of their types", async () => {
    expect(await strictness(objects)).toEqual([]);
  });

  test("has names that lead somewhere", () => {
    expect(references(objects, GIVEN[overlay])).toEqual([]);
  });

  test("gives no container more than it needs", () => {
    expect(security(objects)).toEqual([]);
    expect(workloads(objects).length).toBeGreaterThan(10);
  });

  test("puts everything into one namespace", () => {
    const outside = objects.filter(
      ({ kind, metadata }) => kind !== "Namespace" && metadata.namespace !== "courtside",
    );
    expect(outside).toEqual([]);
  });
});

describe
  .skipIf(folder === undefined)
  .each(readdirSync(join(import.meta.dirname, "components")).filter((name) => name !== "grafana"))(
  "component %s",
  (component) => {
    test("fits on the base by itself", async () => {
      const own = mkdtempSync(join(import.meta.dirname, "overlays/.component-"));
      try {
        const lines = ["resources: [../kind]", `components: [../../components/${component}]`];
        writeFileSync(join(own, "kustomization.yaml"), lines.join("\n"));
        const objects = await render(kustomize, own);
        expect(await strictness(objects)).toEqual([]);
        expect(references(objects, GIVEN.production)).toEqual([]);
        expect(security(objects)).toEqual([]);
      } finally {
        rmSync(own, { recursive: true });
      }
    });
  },
);

describe.skipIf(folder === undefined)("a planted fault is found:", () => {
  let text: string;
  beforeAll(async () => {
    text = JSON.stringify(await render(kustomize, join(import.meta.dirname, "overlays/kind")));
  });
  const planted = (from: string | RegExp, to: string): KubeObject[] => {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    return JSON.parse(changed) as KubeObject[];
  };

  test.each([
    ["a field that the API does not know", '"resources":', '"resource":'],
    ["a misspelled probe", '"readinessProbe":', '"readyProbe":'],
    ["a number that is text", /"replicas":(\d+)/, '"replicas":"$1"'],
    ["a field of another object", '"volumeMounts":', '"volumes":'],
  ])("%s", async (_what, from, to) => {
    expect(await strictness(planted(from, to))).not.toEqual([]);
  });

  test.each([
    ["a secret of another name", /"secretRef":\{"name":"[^"]*/, '"secretRef":{"name":"nobody'],
    [
      "a key that the secret does not have",
      'NATS_INSIGHT_PASSWORD","name',
      'NATS_NOBODY_PASSWORD","name',
    ],
    ["a config map of another name", /"configMap":\{"name":"[^"]*/, '"configMap":{"name":"nobody'],
    [
      "a volume that nobody declared",
      '"volumeMounts":[{"mountPath":"/tmp","name":"tmp"',
      '"volumeMounts":[{"mountPath":"/tmp","name":"temp"',
    ],
    [
      "a service without pods",
      /"selector":\{"app.kubernetes.io\/name":"serving/,
      '"selector":{"app.kubernetes.io/name":"servant',
    ],
    ["a port that no pod has", '"targetPort":"grpc"', '"targetPort":"grcp"'],
    [
      "a probe of a port that is not there",
      '"path":"/readyz","port":"metrics"',
      '"path":"/readyz","port":"metric"',
    ],
    ["a variable that is not set", "$(NATS_PASSWORD)", "$(NATS_PASSWROD)"],
  ])("%s", (_what, from, to) => {
    expect(references(planted(from, to))).not.toEqual([]);
  });

  test.each([
    ["root", '"runAsNonRoot":true', '"runAsNonRoot":false'],
    ["a writable root", '"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false'],
    ["growing privileges", '"allowPrivilegeEscalation":false', '"allowPrivilegeEscalation":true'],
    ["kept capabilities", '"drop":["ALL"]', '"drop":[]'],
    ["no seccomp profile", '"type":"RuntimeDefault"', '"type":"Unconfined"'],
    ["a token", '"automountServiceAccountToken":false', '"automountServiceAccountToken":true'],
    ["an image without a version", '"image":"courtside:dev"', '"image":"courtside"'],
    ["no limit of memory", /"limits":\{"memory":"[^"]*"\}/, '"limits":{}'],
  ])("%s", (_what, from, to) => {
    expect(security(planted(from, to))).not.toEqual([]);
  });
});
