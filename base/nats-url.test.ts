import { expect, test } from "vitest";
import { UsageError } from "./errors.ts";
import { natsServersOf, withoutCredentials } from "./nats-url.ts";

test("an address is taken apart into servers and credentials", () => {
  expect(natsServersOf("nats://127.0.0.1:4222")).toEqual({ servers: ["nats://127.0.0.1:4222"] });
  expect(natsServersOf("localhost:4222")).toEqual({ servers: ["nats://localhost:4222"] });
  expect(natsServersOf("nats://insight:p%40ss@nats:4222")).toEqual({
    servers: ["nats://nats:4222"],
    user: "insight",
    pass: "p@ss",
  });
  expect(natsServersOf("tls://t0ken@nats:4222")).toEqual({
    servers: ["tls://nats:4222"],
    token: "t0ken",
  });
});

test("servers of a cluster are separated by commas and share the credentials", () => {
  expect(natsServersOf("nats://a:b@n-0:4222, n-1:4222,n-2:4222")).toEqual({
    servers: ["nats://n-0:4222", "nats://n-1:4222", "nats://n-2:4222"],
    user: "a",
    pass: "b",
  });
});

test("what is shown holds no password", () => {
  expect(withoutCredentials("nats://insight:secret@nats:4222")).toBe("nats://nats:4222");
});

test.each(["", " , ", "http://nats:4222", "nats://", "nats://u:secret@[:4222"])(
  "%j is refused as an address, without the password",
  (url) => {
    expect(() => natsServersOf(url)).toThrow(UsageError);
    expect(() => natsServersOf(url)).not.toThrow(/secret/);
  },
);
