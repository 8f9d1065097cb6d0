import { expect, test } from "vitest";
import { UsageError } from "../base/errors.ts";
import { s3Options } from "./job-stores.ts";

const KEYS = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };

test.each([
  ["s3://snapshots", "snapshots", ""],
  ["s3://snapshots/", "snapshots", ""],
  ["s3://my.bucket/courtside/live/", "my.bucket", "courtside/live"],
])("%s is a bucket and a prefix", (address, bucket, prefix) => {
  expect(s3Options(address, KEYS)).toMatchObject({ bucket, prefix, region: "us-east-1" });
});

test.each(["s3:snapshots", "s3://", "s3://Upper/x", "s3:///x"])("%s is refused", (address) => {
  expect(() => s3Options(address, KEYS)).toThrow(UsageError);
});

test("an endpoint for S3 goes before that of all services, and an empty variable counts as none", () => {
  const both = { ...KEYS, AWS_ENDPOINT_URL: "http://all", AWS_ENDPOINT_URL_S3: "http://s3" };
  expect(s3Options("s3://snapshots", both).endpoint).toBe("http://s3");
  expect(s3Options("s3://snapshots", { ...both, AWS_ENDPOINT_URL_S3: "" }).endpoint).toBe(
    "http://all",
  );
  expect(() => s3Options("s3://snapshots", { ...KEYS, AWS_ENDPOINT_URL: "s3:9000" })).toThrow(
    /http:\/\/ or https:\/\//,
  );
});

test("missing credentials are named", () => {
  expect(() => s3Options("s3://snapshots", { AWS_ACCESS_KEY_ID: "key" })).toThrow(
    /AWS_SECRET_ACCESS_KEY is not set/,
  );
});
