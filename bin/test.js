#!/usr/bin/env node
// `npm test`: makes sure that the tests can run, then runs them.
import { ensureDependencies, runScript } from "./bootstrap.js";

ensureDependencies({ tools: true });
runScript("scripts/test.ts", process.argv.slice(2));
