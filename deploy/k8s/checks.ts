import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";

/**
 * What can be known of the manifests without a cluster: that the API server takes every object (no unknown field, no
 * wrong type), that every name leads somewhere, and that no container may more than it has to. Each check returns
 * findings, one sentence each; an empty list is good.
 */

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  // The rest is what `strictness` looks at.
  readonly [field: string]: unknown;
}

/** Renders a folder with a `kustomization.yaml`. @param kustomize - path of the program. */
export async function render(kustomize: string, folder: string): Promise<KubeObject[]> {
  const { stdout } = await run(kustomize, ["build", folder], { maxBuffer: 16 * 1024 * 1024 });
  return parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject);
}

/** Where the type of a kind is declared, for groups whose module is not simply named after the group. */
const CUSTOM_RESOURCES: Readonly<Record<string, string>> = {
  "keda.sh": "@kubernetes-models/keda/keda.sh",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/monitoring.coreos.com",
  "cert-manager.io": "@kubernetes-models/cert-manager/cert-manager.io",
};

/** `kubernetes-models/apps/v1` for `apps/v1`. */
function moduleOf(apiVersion: string): string {
  const [group = "", version] = apiVersion.split("/");
  const custom = CUSTOM_RESOURCES[group];
  if (custom !== undefined) return `${custom}/${version ?? ""}`;
  return `kubernetes-models/${apiVersion}`;
}

/**
 * Fields that the API does not know, and values of a wrong type: every object becomes a literal of its kind's
 * generated type, and the compiler refuses what does not fit.
 */
export async function strictness(objects: readonly KubeObject[]): Promise<string[]> {
  await mkdir(join(ROOT, ".tools"), { recursive: true });
  const folder = await mkdtemp(join(ROOT, ".tools/manifests-"));
  try {
    const lines = objects.flatMap((object, i) => [
      `import type { I${object.kind} as T${i} } from ${JSON.stringify(moduleOf(object.apiVersion))};`,
      `export const o${i}: T${i} = ${JSON.stringify(object, null, 1)};`,
    ]);
    await writeFile(join(folder, "objects.ts"), lines.join("\n"));
    const options = ["--noEmit", "--skipLibCheck", "--strict", "--module", "nodenext"];
    const tsc = join(ROOT, "node_modules/.bin/tsc");
    const args = [...options, "--target", "es2024", "--ignoreConfig", join(folder, "objects.ts")];
    await run(tsc, args, { cwd: ROOT, maxBuffer: 16 * 1024 * 1024 });
    return [];
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined || stdout === "") throw error;
    return stdout.split("\n").filter((line) => line.includes("error TS"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: {
      readonly secretKeyRef?: { readonly name: string; readonly key: string };
      readonly configMapKeyRef?: { readonly name: string; readonly key: string };
    };
  }[];
  readonly envFrom?: readonly {
    readonly secretRef?: { readonly name: string };
    readonly configMapRef?: { readonly name: string };
  }[];
  readonly volumeMounts?: readonly { readonly name: string }[];
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly [probe: string]: unknown;
}

interface PodTemplate {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly automountServiceAccountToken?: boolean;
    readonly securityContext?: {
      readonly runAsNonRoot?: boolean;
      readonly runAsUser?: number;
      readonly seccompProfile?: { readonly type: string };
    };
    readonly volumes?: readonly {
      readonly name: string;
      readonly configMap?: { readonly name: string };
      readonly secret?: { readonly secretName: string };
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
}

export interface Workload {
  readonly id: string;
  readonly kind: string;
  readonly template: PodTemplate;
  readonly claims: readonly string[];
}

interface WorkloadSpec {
  readonly template?: PodTemplate;
  readonly jobTemplate?: { readonly spec: { readonly template: PodTemplate } };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}

/** Everything that makes pods. */
export function workloads(objects: readonly KubeObject[]): Workload[] {
  return objects.flatMap(({ kind, metadata, ...object }) => {
    const spec = object["spec"] as WorkloadSpec | undefined;
    const template = spec?.template ?? spec?.jobTemplate?.spec.template;
    if (template?.spec.containers === undefined) return [];
    const claims = (spec?.volumeClaimTemplates ?? []).map((claim) => claim.metadata.name);
    return [{ id: `${kind}/${metadata.name}`, kind, template, claims }];
  });
}

/** Restricted pod security and more, for every container. */
export function security(objects: readonly KubeObject[]): string[] {
  return workloads(objects).flatMap(({ id, template: { spec } }) => {
    const findings: string[] = [];
    const pod = spec.securityContext;
    if (pod?.runAsNonRoot !== true || (pod.runAsUser ?? 0) === 0)
      findings.push(`${id} may run as root`);
    if (pod?.seccompProfile?.type !== "RuntimeDefault")
      findings.push(`${id} has no seccomp profile`);
    if (spec.automountServiceAccountToken !== false)
      findings.push(`${id} gets a token of the API server, which it does not need`);
    for (const container of containersOf(spec)) findings.push(...containerSecurity(id, container));
    return findings;
  });
}

function containerSecurity(id: string, container: Container): string[] {
  const findings: string[] = [];
  const context = container.securityContext;
  const say = (what: string): void =>
    void findings.push(`${id}, container ${container.name}: ${what}`);
  if (context?.allowPrivilegeEscalation !== false) say("privileges can grow");
  if (context?.readOnlyRootFilesystem !== true) say("the root file system can be written");
  if (context?.capabilities?.drop?.includes("ALL") !== true) say("capabilities are kept");
  if ((context?.capabilities?.add ?? []).length > 0) say("capabilities are added");
  const { requests, limits } = container.resources ?? {};
  if (requests?.["cpu"] === undefined || requests["memory"] === undefined) say("no requests");
  if (limits?.["memory"] === undefined) say("no limit of memory");
  if (/:latest$|^[^:]+$/.test(container.image ?? ""))
    say(`image ${container.image ?? ""} has no version`);
  return findings;
}

/** Names that lead nowhere: config maps, secrets and their keys, volumes, claims, ports, selectors. */
export function references(objects: readonly KubeObject[], given: Given = {}): string[] {
  const pods = workloads(objects);
  return [
    ...pods.flatMap((pod) => podReferences(objects, pod, given)),
    ...pods.flatMap(probePorts),
    ...objects.flatMap((object) => serviceReferences(object, objects, pods)),
  ];
}

/** What an overlay expects to find in the cluster: keys by secret. */
export interface Given {
  readonly secrets?: Readonly<Record<string, readonly string[]>>;
}

function podReferences(objects: readonly KubeObject[], pod: Workload, given: Given): string[] {
  const { id, template, claims } = pod;
  const findings: string[] = [];
  const keysOf = (kind: "Secret" | "ConfigMap", name: string): readonly string[] | undefined => {
    const found = objects.find((each) => each.kind === kind && each.metadata.name === name);
    if (found !== undefined)
      return [found["data"], found["stringData"]].flatMap((data) => Object.keys(data ?? {}));
    return kind === "Secret" ? given.secrets?.[name] : undefined;
  };
  const need = (kind: "Secret" | "ConfigMap", name: string, key?: string): void => {
    const keys = keysOf(kind, name);
    if (keys === undefined) findings.push(`${id} needs ${kind} ${name}, which is not there`);
    else if (key !== undefined && !keys.includes(key))
      findings.push(`${id} needs key ${key} of ${kind} ${name}, which does not have it`);
  };
  for (const { configMap, secret } of template.spec.volumes ?? []) {
    if (configMap !== undefined) need("ConfigMap", configMap.name);
    if (secret !== undefined) need("Secret", secret.secretName);
  }
  const volumes = new Set([...claims, ...(template.spec.volumes ?? []).map(({ name }) => name)]);
  for (const container of containersOf(template.spec)) {
    for (const { name } of container.volumeMounts ?? [])
      if (!volumes.has(name)) findings.push(`${id} mounts volume ${name}, which is not there`);
    for (const { secretRef, configMapRef } of container.envFrom ?? []) {
      if (secretRef !== undefined) need("Secret", secretRef.name);
      if (configMapRef !== undefined) need("ConfigMap", configMapRef.name);
    }
    const known = new Set<string>();
    for (const { name, value, valueFrom } of container.env ?? []) {
      const [secret, config] = [valueFrom?.secretKeyRef, valueFrom?.configMapKeyRef];
      if (secret !== undefined) need("Secret", secret.name, secret.key);
      if (config !== undefined) need("ConfigMap", config.name, config.key);
      // A reference to a variable that comes later, or not at all, is kept as text, without a word.
      for (const [, used = ""] of (value ?? "").matchAll(/\$\((\w+)\)/g))
        if (!known.has(used)) findings.push(`${id}: $(${used}) in ${name} is not set before it`);
      known.add(name);
    }
  }
  return findings;
}

function containersOf(spec: PodTemplate["spec"]): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

function probePorts({ id, template }: Workload): string[] {
  return template.spec.containers.flatMap((container) => {
    const names = new Set((container.ports ?? []).map(({ name }) => name));
    return ["startupProbe", "readinessProbe", "livenessProbe"].flatMap((kind) => {
      const probe = container[kind] as { httpGet?: { port: string | number } } | undefined;
      const port = probe?.httpGet?.port;
      if (port === undefined || names.has(String(port))) return [];
      return [
        `${id}: the ${kind} asks port ${port}, which container ${container.name} does not have`,
      ];
    });
  });
}

interface ServiceSpec {
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly { readonly name?: string; readonly targetPort?: string | number }[];
}

function serviceReferences(
  object: KubeObject,
  objects: readonly KubeObject[],
  pods: readonly Workload[],
): string[] {
  const { kind, metadata } = object;
  if (kind === "Service") return selectedPorts(metadata.name, object["spec"] as ServiceSpec, pods);
  const exists = (wanted: string, name: string): boolean =>
    objects.some((each) => each.kind === wanted && each.metadata.name === name);
  const spec = object["spec"] as
    | {
        readonly serviceName?: string;
        readonly scaleTargetRef?: { readonly kind?: string; readonly name: string };
        readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
        readonly rules?: readonly {
          http?: { paths: { backend: { service: { name: string; port: { name: string } } } }[] };
        }[];
      }
    | undefined;
  const findings: string[] = [];
  if (kind === "StatefulSet" && !exists("Service", spec?.serviceName ?? ""))
    findings.push(`StatefulSet/${metadata.name} names Service ${spec?.serviceName ?? ""}`);
  const target = spec?.scaleTargetRef;
  if (target !== undefined && !exists(target.kind ?? "Deployment", target.name))
    findings.push(`${kind}/${metadata.name} scales ${target.name}, which is not there`);
  if (kind === "PodDisruptionBudget" && selected(spec?.selector?.matchLabels, pods).length === 0)
    findings.push(`PodDisruptionBudget/${metadata.name} selects no pod`);
  if (kind === "Ingress")
    for (const { service } of (spec?.rules ?? []).flatMap((rule) =>
      (rule.http?.paths ?? []).map(({ backend }) => backend),
    )) {
      const found = objects.find(
        (each) => each.kind === "Service" && each.metadata.name === service.name,
      );
      const ports = (found?.["spec"] as ServiceSpec | undefined)?.ports ?? [];
      if (!ports.some(({ name }) => name === service.port.name))
        findings.push(`Ingress/${metadata.name} leads to ${service.name}:${service.port.name}`);
    }
  return findings;
}

function selectedPorts(name: string, spec: ServiceSpec, pods: readonly Workload[]): string[] {
  const found = selected(spec.selector, pods);
  if (found.length === 0) return [`Service/${name} selects no pod`];
  const ports = new Set(
    found.flatMap(({ template }) =>
      template.spec.containers.flatMap((container) =>
        (container.ports ?? []).map((port) => port.name),
      ),
    ),
  );
  return (spec.ports ?? [])
    .filter(({ targetPort }) => !ports.has(String(targetPort)))
    .map(({ targetPort }) => `Service/${name} leads to port ${targetPort ?? ""}, which no pod has`);
}

function selected(
  labels: Readonly<Record<string, string>> | undefined,
  pods: readonly Workload[],
): Workload[] {
  return pods.filter(({ template }) =>
    Object.entries(labels ?? { none: "none" }).every(
      ([key, value]) => template.metadata?.labels?.[key] === value,
    ),
  );
}
