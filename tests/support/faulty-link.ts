import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface FaultyLink {
  /** Address of the near end, `host:port`. */
  readonly host: string;
  /** From now on the far end's answers are lost; what is sent to it still arrives. Until `cut`. */
  loseAnswers(): void;
  /** From now on what is sent to the far end is lost. Until `cut`. */
  loseRequests(): void;
  /** Breaks all connections; new ones work again. */
  cut(): void;
  close(): Promise<void>;
}

/** A TCP link to a real server that loses bytes on demand, as a network does before a connection breaks. */
export async function createFaultyLink(farPort: number): Promise<FaultyLink> {
  const pairs = new Set<readonly [near: Socket, far: Socket]>();
  let losesAnswers = false;
  let losesRequests = false;
  const server = createServer((near) => {
    const far = connect(farPort, "127.0.0.1");
    const pair = [near, far] as const;
    pairs.add(pair);
    near.on("data", (bytes) => losesRequests || far.write(bytes));
    far.on("data", (bytes) => losesAnswers || near.write(bytes));
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        near.destroy();
        far.destroy();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    losesAnswers = false;
    losesRequests = false;
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseAnswers: () => (losesAnswers = true),
    loseRequests: () => (losesRequests = true),
    cut,
    close: async () => {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
