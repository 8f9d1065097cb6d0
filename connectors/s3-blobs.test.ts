import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { StoreError } from "../operators/mod.ts";
import { MemoryHead } from "../testing/memory-blobs.ts";
import { describeBlobStore } from "../tests/support/blob-store-contract.ts";
import { S3Blobs, type S3Options } from "./s3-blobs.ts";

/** The one account that the test server knows. */
const ACCOUNT = "S3RVER";

let folder = "";
let server: S3rver;
let endpoint = "";
let places = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "courtside-s3-"));
  server = new S3rver({
    address: "127.0.0.1",
    port: 0,
    directory: folder,
    silent: true,
    configureBuckets: [{ name: "snapshots" }],
  });
  endpoint = `http://127.0.0.1:${String((await server.run()).port)}`;
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function open(changes: Partial<S3Options> = {}): Promise<S3Blobs> {
  return S3Blobs.open({
    bucket: "snapshots",
    prefix: "",
    endpoint,
    region: "us-east-1",
    accessKeyId: ACCOUNT,
    secretAccessKey: ACCOUNT,
    ...changes,
  });
}

describe("snapshots in a bucket of an S3-compatible server", () => {
  describeBlobStore(async () => {
    places += 1;
    return { blobs: await open({ prefix: `place/${String(places)}` }), head: new MemoryHead() };
  });

  // None that XML escapes: the test server does so twice.
  test("names that need escapes come back as they were", async () => {
    const blobs = await open({ prefix: "odd ones" });
    const names = ["r/a b", "r/a+b", "r/a%20b", 'r/a"b', "r/ä"];
    for (const name of names) await blobs.put(name, [Buffer.from(name)]);
    expect((await blobs.list("r/")).toSorted()).toEqual(names.toSorted());
    for (const name of names)
      expect(Buffer.from((await blobs.get(name)) ?? []).toString()).toBe(name);
  });

  test.each([
    ["a bucket that is not there", { bucket: "elsewhere" }, /make it, or name another/],
    ["an unknown account", { accessKeyId: "WHO" }, /does not know this AWS_ACCESS_KEY_ID/],
    ["a wrong secret", { secretAccessKey: "WHAT" }, /AWS_SECRET_ACCESS_KEY does not belong/],
  ])("%s is an error at the start that says what to do", async (_what, changes, message) => {
    await expect(open(changes)).rejects.toThrow(StoreError);
    await expect(open(changes)).rejects.toThrow(message);
  });
});

describe("a store that falters", () => {
  const faltering: Server[] = [];
  afterEach(() => {
    for (const each of faltering.splice(0)) {
      each.closeAllConnections();
      each.close();
    }
  });

  /** Answers in the given ways, one a request, then with an empty list. */
  async function listen(...answers: RequestListener[]): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = [];
    const each = createServer((request, response) => {
      asked.push(request.method ?? "");
      const answer = answers.shift();
      if (answer !== undefined) return answer(request, response);
      response.end("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    });
    faltering.push(each);
    await new Promise<void>((resolve) => {
      each.listen(0, "127.0.0.1", resolve);
    });
    return { url: `http://127.0.0.1:${String((each.address() as AddressInfo).port)}`, asked };
  }

  const busy: RequestListener = (_request, response) => {
    response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>");
  };
  const cut: RequestListener = (request) => request.socket.destroy();
  const silent: RequestListener = () => undefined;
  const half: RequestListener = (_request, response) => {
    response.writeHead(200, { "content-length": "100" }).write("<List");
  };

  // The test server cannot make tokens with the OpenSSL of today's Node.
  test("gives a list page by page, in either encoding of names", async () => {
    const page = (...elements: string[]): string =>
      `<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${elements.join("")}</ListBucketResult>`;
    const urls: (string | undefined)[] = [];
    const answer =
      (body: string): RequestListener =>
      (request, response) => {
        urls.push(request.url);
        response.end(body);
      };
    const more = "<IsTruncated>true</IsTruncated>";
    const one = "<Contents><Key>p/r/1</Key></Contents>";
    const { url } = await listen(
      answer(page()),
      answer(page(more, "<NextContinuationToken>a+/&amp;=</NextContinuationToken>", one)),
      answer(
        page("<EncodingType>url</EncodingType>", "<Contents><Key>p/r/2%2B+%3C</Key></Contents>"),
      ),
      answer(page("<Contents><Key>p/r/2+&lt;&amp;lt;</Key></Contents>")),
      answer(page(more, one)),
    );
    const blobs = await open({ endpoint: url, prefix: "p" });
    expect(await blobs.list("r/")).toEqual(["r/1", "r/2+ <"]);
    expect(urls[1]).toBe("/snapshots?list-type=2&encoding-type=url&prefix=p%2Fr%2F");
    expect(urls[2]).toContain("&continuation-token=a%2B%2F%26%3D");
    expect(await blobs.list("r/")).toEqual(["r/2+<&lt;"]);
    await expect(blobs.list("r/")).rejects.toThrow(/does not speak S3/);
  });

  test("is asked again after a refusal, a cut line, a silence and half an answer", async () => {
    const { url, asked } = await listen(busy, cut, silent, half);
    expect(await (await open({ endpoint: url, timeoutMs: 300 })).list("")).toEqual([]);
    expect(asked).toHaveLength(6);
  });

  test("is given up after six tries, with the reason", async () => {
    const { url, asked } = await listen(...Array.from({ length: 6 }, () => busy));
    await expect(open({ endpoint: url })).rejects.toThrow(/SlowDown.*HTTP 503/);
    expect(asked).toHaveLength(6);
  });

  test("is not asked again when it refuses for good, and another server is told from a store", async () => {
    const denied: RequestListener = (_request, response) => {
      response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
    };
    const { url, asked } = await listen(denied, (_request, response) => response.end("<html>"));
    await expect(open({ endpoint: url })).rejects.toThrow(/list, get, put and delete/);
    expect(asked).toHaveLength(1);
    await expect(open({ endpoint: url })).rejects.toThrow(/does not speak S3/);
  });
});
