import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { afterAll, beforeAll, expect, test } from "vitest";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "courtside-tls-"));
const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
const server = new Server();
let port = 0;

beforeAll(async () => {
  if (!hasOpenssl) return;
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const files = ["-keyout", key, "-out", certificate, "-days", "2"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...names, ...files], {
    stdio: "ignore",
  });
  new HealthImplementation({ "": "SERVING" }).addToServer(server);
  const pair = { private_key: readFileSync(key), cert_chain: readFileSync(certificate) };
  port = await new Promise((resolve, reject) => {
    const credentials = ServerCredentials.createSsl(null, [pair]);
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
});

afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

/** Node reads its authorities when it starts, so the client is a process of its own. */
async function connects(authorities: string | undefined): Promise<string> {
  const script = `
    import { connectPredict } from ${JSON.stringify(join(import.meta.dirname, "client.ts"))};
    const client = connectPredict("tls://localhost:${String(port)}");
    console.log(await client.waitReady(3000).then(() => "connected", (error) => error.code));
    client.close();`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: authorities };
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { env });
  let output = "";
  for await (const chunk of child.stdout) output += String(chunk);
  return output.trim();
}

test.skipIf(!hasOpenssl)(
  "a tls:// address connects to a server whose authority Node knows, and to no other",
  async () => {
    expect(await connects(certificate)).toBe("connected");
    expect(await connects(undefined)).toBe("PREDICT_UNAVAILABLE");
  },
);
