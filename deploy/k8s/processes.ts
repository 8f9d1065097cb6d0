import { type KubeObject, workloads } from "./checks.ts";

/** What a container runs: the arguments of the program and its whole environment, names of the cluster replaced. */
export interface RenderedProcess {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The processes of the project's own image as an overlay describes them, so that they can be run without a cluster.
 * @param places - what stands for names of the cluster, for example `clickhouse:8123` → `127.0.0.1:4711`; the longest
 * name that fits is replaced first.
 */
export function processesOf(
  objects: readonly KubeObject[],
  places: Readonly<Record<string, string>>,
): RenderedProcess[] {
  const data = (kind: string, name: string): Record<string, string> => {
    const found = objects.find((each) => each.kind === kind && each.metadata.name === name);
    const plain = (found?.["data"] ?? {}) as Record<string, string>;
    if (kind !== "Secret") return plain;
    return Object.fromEntries(
      Object.entries(plain).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
    );
  };
  const place = (text: string): string =>
    Object.entries(places)
      .toSorted(([a], [b]) => b.length - a.length)
      .reduce((replaced, [from, to]) => replaced.replaceAll(from, to), text);
  return workloads(objects).flatMap(({ template }) =>
    template.spec.containers
      .filter(({ image = "" }) => image.startsWith("courtside:"))
      .map((container) => {
        const environment: Record<string, string> = {};
        for (const { configMapRef, secretRef } of container.envFrom ?? [])
          Object.assign(
            environment,
            configMapRef === undefined ? {} : data("ConfigMap", configMapRef.name),
            secretRef === undefined ? {} : data("Secret", secretRef.name),
          );
        for (const { name, value, valueFrom } of container.env ?? []) {
          const secret = valueFrom?.secretKeyRef;
          const text = secret === undefined ? value : data("Secret", secret.name)[secret.key];
          environment[name] = place(
            (text ?? "").replaceAll(
              /\$\((\w+)\)/g,
              (_all, used: string) => environment[used] ?? "",
            ),
          );
        }
        const args = (container["args"] ?? []) as string[];
        return { name: container.name, args: args.map(place), environment };
      }),
  );
}
