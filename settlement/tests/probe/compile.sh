#!/usr/bin/env bash
# Compiles Probe.sol into Probe.hex. Needs node and solc 0.8.37 from npm: SOLC_MODULES=.../node_modules ./compile.sh
set -euo pipefail
cd "$(dirname "$0")"
NODE_PATH="$SOLC_MODULES" node -e '
const solc = require("solc"), fs = require("fs");
const input = {
  language: "Solidity",
  sources: { "Probe.sol": { content: fs.readFileSync("Probe.sol", "utf8") } },
  settings: {
    evmVersion: "prague",
    optimizer: { enabled: true, runs: 200 },
    metadata: { appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const error of output.errors ?? []) console.error(error.formattedMessage);
fs.writeFileSync("Probe.hex", output.contracts["Probe.sol"].Probe.evm.bytecode.object + "\n");
'
