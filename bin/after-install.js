// Runs after `npm ci` and `npm install`.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findNode, linkProgram, ROOT } from "./bootstrap.js";

linkProgram();

// The page is built now, so that the first start need not. It can still be built then, so this may fail in peace: in an
// image that copies the packages before the sources, or where nothing can be written.
const script = "dashboard/page-build.ts";
if (existsSync(join(ROOT, script)) && existsSync(join(ROOT, "node_modules/vite"))) {
  spawnSync(findNode(), [join(ROOT, script)], { cwd: ROOT, stdio: "ignore" });
}
