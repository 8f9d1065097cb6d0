import { createHash, timingSafeEqual } from "node:crypto";
import {
  type Metadata,
  type ServerInterceptor,
  ServerInterceptingCall,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { type Log } from "../base/log.ts";
import { type Admission } from "./limits.ts";
import { toStatus, UnauthenticatedError } from "./status.ts";
import { watchFiles, type WatchedFiles } from "./watched-file.ts";

/** Who may call: whoever has one of the tokens of a file. */
export interface TokenCheck {
  /**
   * @param authorization - value of the header, `Bearer TOKEN`.
   * @throws UnauthenticatedError
   */
  check(authorization: string | undefined): void;
  stop(): void;
}

/** Tokens that a file may hold: one for each team that calls, two while one is exchanged. */
const MAX_TOKENS = 64;

/**
 * @param file - one token a line; read again when it changes.
 * @throws UnusableFileError
 */
export async function openTokens(
  file: string,
  options: { readonly log: Log; readonly pollMs?: number },
): Promise<TokenCheck> {
  let hashes: readonly Buffer[] = [];
  const watched: WatchedFiles = await watchFiles(
    [file],
    ([content]) => {
      const lines = (content ?? Buffer.alloc(0)).toString("utf8").split("\n");
      const tokens = lines.map((line) => line.trim()).filter((line) => line !== "");
      if (tokens.length === 0) throw new RangeError("there is no token in it");
      hashes = tokens.slice(0, MAX_TOKENS).map(hashOf);
    },
    options,
  );
  return {
    check(authorization) {
      const [, token = ""] = /^Bearer (\S+)$/iu.exec(authorization ?? "") ?? [];
      const hash = hashOf(token);
      if (token !== "" && hashes.some((known) => timingSafeEqual(known, hash))) return;
      const what = authorization === undefined ? "absent" : "not a bearer token of this server";
      throw new UnauthenticatedError(
        `metadata authorization is required: Bearer TOKEN; got ${what}`,
      );
    },
    stop: () => watched.stop(),
  };
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Probes of orchestrators know no tokens, and they must get through when the server is full. */
const UNGUARDED = "/grpc.health.v1.Health/";

/** Checks token and limits when a call's header arrives: what is refused is never read, let alone decoded. */
export function guard(admission: Admission, tokens: TokenCheck | undefined): ServerInterceptor {
  return ({ path }, call) => {
    if (path.startsWith(UNGUARDED)) return new ServerInterceptingCall(call);
    let leave: (() => void) | undefined;
    return new ServerInterceptingCall(call, {
      start(next) {
        const listener = new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, pass) => {
            try {
              tokens?.check(authorizationOf(metadata));
              leave = admission.enter(clientOf(call));
            } catch (error) {
              call.sendStatus(toStatus(error));
              return;
            }
            pass(metadata);
          })
          // Called at every end of a call, not only when it is cancelled.
          .withOnCancel(() => leave?.())
          .build();
        next(listener);
      },
    });
  };
}

function authorizationOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get("authorization");
  return typeof value === "string" ? value : undefined;
}

type Call = ConstructorParameters<typeof ServerInterceptingCall>[0];

/** Whose share a call takes. */
function clientOf(call: Call): string {
  const name = call.getAuthContext().sslPeerCertificate?.subject.CN;
  if (name !== undefined) return `certificate ${String(name)}`;
  return call.getPeer().replace(/:\d+$/u, "");
}
