// Starts the EthereumJS client for the conformance suite: node start.mjs CLI DIRECTORY FLAGS...
//
// CLI is the client's program, DIRECTORY holds everything it writes. Three things it cannot be told by flags:
// - every server listens on a free port of this machine only (its peer-to-peer server would listen on all
//   addresses), and the port of the JSON-RPC server is printed as the line `listening PORT`;
// - it ends when its standard input closes, so it never outlives the tests, not even when they are killed;
// - it removes DIRECTORY when it ends.
import http from 'node:http';
import net from 'node:net';
import { rmSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [cli, directory] = process.argv.splice(1, 3).slice(1);
process.argv.splice(1, 0, cli);

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function () {
  if (this instanceof http.Server) {
    this.once('listening', () => console.log(`listening ${this.address().port}`));
  }
  return listen.call(this, 0, '127.0.0.1');
};

process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
process.stdin.on('close', () => process.exit()).resume();

await import(pathToFileURL(cli).href);
