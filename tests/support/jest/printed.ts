import { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { keepSecret, secretsIn } from '../secrets.ts';

/** What runs the gateway's own code, however it is started. A curl may print the token that it was given. */
const OURS =
  /(?:^|\/)(?:gateway|config|playground)\/\w+\.ts$|gatewayOnce|npm (?:-\S+ )*(?:start|run (?:-\S+ )*(?:playground|config:check))/;

/** Variables that hold a secret, and a password in a URL. */
const SECRET_VARIABLE = /^\w*(?:SECRET|TOKEN|PASSWORD)=(.+)$/;
const URL_PASSWORD = /^\w+=\w+:\/\/[^/:@]*:([^/@]+)@/;
/** Shorter ones are words that a refusal of them may well use. */
const SHORTEST_SECRET = 8;

/** A secret may lie across two reads: so much is read again. */
const OVERLAP = 4096;

interface Spawned {
  readonly args?: readonly string[];
  readonly envPairs?: readonly string[];
}

interface Spawning {
  spawn(this: ChildProcess, options: Spawned): unknown;
}

/**
 * Reads along with whatever processes of the gateway print from now on, started by anybody in this process. `onLeak` is
 * told each command and what it printed that must not be. Returns what ends the watch.
 */
export function watchPrinted(onLeak: (leak: string) => void): () => void {
  // Node's types do not know it; spawn, fork, exec and execFile all come by here.
  const prototype = ChildProcess.prototype as unknown as Spawning;
  const { spawn } = prototype;
  prototype.spawn = function (options) {
    const result = spawn.call(this, options);
    const { args = [], envPairs = [] } = options;
    if (!args.some((arg) => OURS.test(arg))) return result;
    for (const secret of secretsOf(envPairs)) keepSecret(secret);
    const told = new Set<string>();
    for (const stream of [this.stdout, this.stderr]) {
      if (!stream) continue;
      readAlong(stream, (secret) => {
        if (!told.has(secret)) onLeak(`${args.join(' ')} printed ${secret}`);
        told.add(secret);
      });
    }
    return result;
  };
  return () => {
    prototype.spawn = spawn;
  };
}

function secretsOf(envPairs: readonly string[]): string[] {
  return envPairs
    .map((pair) => (SECRET_VARIABLE.exec(pair) ?? URL_PASSWORD.exec(pair))?.[1] ?? '')
    .filter((secret) => secret.length >= SHORTEST_SECRET);
}

/** Sees each piece as it comes, whoever reads the stream and however. */
function readAlong(stream: Readable, onSecret: (secret: string) => void): void {
  const push = stream.push;
  let before = '';
  stream.push = function (chunk, encoding) {
    if (chunk) {
      const text = before + chunk;
      for (const secret of secretsIn(text)) onSecret(secret);
      before = text.slice(-OVERLAP);
    }
    return push.call(this, chunk, encoding);
  };
}
