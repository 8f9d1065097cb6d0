import { createSecureContext, type SecureContextOptions } from "node:tls";
import { experimental, type ServerCredentials } from "@grpc/grpc-js";
import { type Log } from "../base/log.ts";
import { watchFiles } from "./watched-file.ts";

export interface TlsFiles {
  /** PEM, the server's certificate and those that signed it. */
  readonly cert: string;
  readonly key: string;
  /** PEM of who signs clients' certificates; with it, clients must have one. */
  readonly clientCa?: string | undefined;
}

/** Certificates that follow their files; connections keep what they began with. */
export interface Tls {
  readonly credentials: ServerCredentials;
  /** For servers of `node:https`. */
  readonly context: () => SecureContextOptions;
  onChange(changed: (context: SecureContextOptions) => void): void;
  stop(): void;
}

type Provider = experimental.CertificateProvider;

/** @throws UnusableFileError when a file cannot be read, or key and certificate do not belong together. */
export async function openTls(
  { cert, key, clientCa }: TlsFiles,
  { log, pollMs }: { readonly log: Log; readonly pollMs?: number },
): Promise<Tls> {
  const files = [cert, key, ...(clientCa === undefined ? [] : [clientCa])];
  let context: SecureContextOptions = {};
  const changed = new Set<(context: SecureContextOptions) => void>();
  const use = ([certificate, privateKey, ca]: readonly Buffer[]): void => {
    const next = { cert: certificate, key: privateKey, ...(ca !== undefined && { ca }) };
    // Throws for what is no certificate, before anybody is given it.
    createSecureContext(next);
    context = next;
    for (const tell of changed) tell(next);
  };
  const watched = await watchFiles(files, use, { log, ...(pollMs !== undefined && { pollMs }) });
  const identity = listeners<
    Parameters<Parameters<Provider["addIdentityCertificateListener"]>[0]>[0]
  >(() => ({ certificate: context.cert as Buffer, privateKey: context.key as Buffer }));
  const authority = listeners<Parameters<Parameters<Provider["addCaCertificateListener"]>[0]>[0]>(
    () => (context.ca === undefined ? null : { caCertificate: context.ca as Buffer }),
  );
  changed.add(() => {
    identity.tell();
    authority.tell();
  });
  const provider: Provider = {
    addIdentityCertificateListener: identity.add,
    removeIdentityCertificateListener: identity.remove,
    addCaCertificateListener: authority.add,
    removeCaCertificateListener: authority.remove,
  };
  const isMutual = clientCa !== undefined;
  return {
    // The first argument is the identity, whatever the library's declaration calls it (grpc-js 1.14).
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      isMutual ? provider : null,
      isMutual,
    ),
    context: () => context,
    onChange: (tell) => void changed.add(tell),
    stop: () => watched.stop(),
  };
}

interface Listeners<T> {
  readonly add: (listener: (update: T) => void) => void;
  readonly remove: (listener: (update: T) => void) => void;
  readonly tell: () => void;
}

function listeners<T>(current: () => T): Listeners<T> {
  const known = new Set<(update: T) => void>();
  return {
    add(listener) {
      known.add(listener);
      // Later: a listener is told before its own listeners have come otherwise.
      process.nextTick(() => listener(current()));
    },
    remove: (listener) => void known.delete(listener),
    tell() {
      for (const listener of known) listener(current());
    },
  };
}
