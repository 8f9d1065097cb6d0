import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface TestAuthority {
  /** PEM file of the authority itself. */
  readonly ca: string;
  /** Signs a certificate for 127.0.0.1. @returns PEM files. */
  issue(name: string): Promise<{ readonly cert: string; readonly key: string }>;
  remove(): Promise<void>;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate authority for one test, made by the `openssl` command in a folder of its own. */
export async function testAuthority(): Promise<TestAuthority> {
  const folder = await mkdtemp(path.join(tmpdir(), "courtside-tls-"));
  const file = (name: string): string => path.join(folder, name);
  const [ca, caKey] = [file("ca.pem"), file("ca.key")];
  const self = ["req", "-x509", ...KEY, "-days", "2", "-subj", "/CN=courtside test authority"];
  await run("openssl", [...self, "-keyout", caKey, "-out", ca]);
  return {
    ca,
    async issue(name) {
      const [cert, key, request] = [file(`${name}.pem`), file(`${name}.key`), file(`${name}.csr`)];
      await writeFile(file("san"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
      await run("openssl", [
        "req",
        ...KEY,
        "-subj",
        `/CN=${name}`,
        "-keyout",
        key,
        "-out",
        request,
      ]);
      const by = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-extfile", file("san")];
      await run("openssl", ["x509", "-req", "-in", request, ...by, "-days", "2", "-out", cert]);
      return { cert, key };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
