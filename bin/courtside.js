#!/usr/bin/env node
// The program `courtside`: makes sure that it can run, then runs it.
import { ensureDependencies, runScript } from "./bootstrap.js";

ensureDependencies({ tools: false });
runScript("cli/main.ts", process.argv.slice(2));
