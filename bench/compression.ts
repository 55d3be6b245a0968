import { execFileSync } from 'node:child_process';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import express from 'express';
import type { Command } from '../config/commandLine/flags.ts';
import { EXIT_FAILED, runCommand } from '../config/commandLine/run.ts';
import { CODINGS, type Coding, createCoder, DEFAULT_LEVELS } from '../lib/compression/codings.ts';
import { compression } from '../lib/compression/middleware.ts';
import { writerOf } from '../lib/response/responseWriter.ts';

/**
 * What it costs to compress 100 KiB of JSON on its way through a server, compared with zlib alone: a server that does nothing
 * but pipe the same content through Node's zlib at the same level. Of each server, what the same response costs it uncompressed is
 * taken off. It is CPU time of a process with all its threads, client included. Each server is measured in processes of its own, by
 * turns: in one process each would pay for garbage of the others.
 */
const SERVERS = {
  bare: () => serve(send),
  alone: () => serve(pipe),
  plain: () => serve(express().use(respond)),
  compressed: () => serve(express().use(compression(), respond)),
} as const;
type ServerName = keyof typeof SERVERS;

const ROUNDS = 5;
const WARM_UP = 300;
const REQUESTS = 1_000;
const AT_MOST = 1.2;
const CONTENT = Buffer.from(jsonOf(100 * 1024));
const LAST_CHUNK = '0\r\n\r\n';
/** As the content of a service arrives. */
const READ_BYTES = 64 * 1024;

const COMMAND: Command<Record<string, never>> = {
  about:
    'Compares what it costs to compress 100 KiB of JSON on its way with what zlib alone costs, in about a minute.',
  usage: ['npm run bench:compression', 'node bench/compression.ts'],
  flags: {},
  notes: `Exit code 1 when a coding costs more than ${AT_MOST} of zlib alone; 2 when a flag is wrong.`,
};

/** What a process of this command measures in place of comparing: `compressed br`. */
const MEASURED = 'BENCH_MEASURED';

const [server, coding] = (process.env[MEASURED] ?? '').split(' ') as [ServerName, Coding?];
if (coding === undefined) await runCommand(COMMAND, async () => (compare() ? 0 : EXIT_FAILED));
else {
  process.stdout.write(String(await measured(server, coding)));
  process.exit();
}

/** Whether every coding costs no more than it may. */
function compare(): boolean {
  const medians = CODINGS.map((each) => {
    const ratios = Array.from({ length: ROUNDS }, () => ratioOf(each)).sort((one, other) => one - other);
    const [least = 0, median = 0, most = 0] = [0, Math.floor(ROUNDS / 2), ROUNDS - 1].map((at) => ratios[at]);
    process.stdout.write(
      `${each.padEnd(5)} ${median.toFixed(2)} of zlib alone (${least.toFixed(2)} to ${most.toFixed(2)}), at most ${AT_MOST}\n`,
    );
    return median;
  });
  return medians.every((median) => median <= AT_MOST);
}

function ratioOf(of: Coding): number {
  const us = (name: ServerName) => {
    const env = { ...process.env, [MEASURED]: `${name} ${of}` };
    return Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url)], { env }));
  };
  const [alone, compressed, bare, plain] = [us('alone'), us('compressed'), us('bare'), us('plain')];
  return (compressed - plain) / (alone - bare);
}

/** CPU time of a response, in microseconds. */
async function measured(name: ServerName, of: Coding): Promise<number> {
  const socket = await SERVERS[name]();
  for (let n = 0; n < WARM_UP; n += 1) await get(socket, of);
  const before = process.cpuUsage();
  for (let n = 0; n < REQUESTS; n += 1) await get(socket, of);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / REQUESTS;
}

function respond(...[, res]: Parameters<express.RequestHandler>): void {
  const writer = writerOf(res);
  writer.head(200, 'OK', ['Content-Type', 'application/json', 'Content-Length', String(CONTENT.length)]);
  writer.content(CONTENT.subarray(0, READ_BYTES));
  writer.end(CONTENT.subarray(READ_BYTES), []);
}

function send(_req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': CONTENT.length });
  res.write(CONTENT.subarray(0, READ_BYTES));
  res.end(CONTENT.subarray(READ_BYTES));
}

function pipe({ headers }: IncomingMessage, res: ServerResponse): void {
  const coding = headers['accept-encoding'] as Coding;
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': coding });
  const coder = createCoder(coding, { level: DEFAULT_LEVELS[coding], totalBytes: CONTENT.length });
  coder.pipe(res);
  coder.write(CONTENT.subarray(0, READ_BYTES));
  coder.end(CONTENT.subarray(READ_BYTES));
}

async function serve(listener: RequestListener): Promise<Socket> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return connect((server.address() as AddressInfo).port, '127.0.0.1');
}

/** Reads a whole response without taking it apart: it has its length, or an empty last chunk. */
function get(socket: Socket, coding: Coding): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    socket.on('data', function read(chunk) {
      bytes += chunk.length;
      if (bytes < CONTENT.length && chunk.indexOf(LAST_CHUNK, chunk.length - LAST_CHUNK.length) === -1)
        return;
      socket.off('data', read);
      resolve();
    });
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${coding}\r\n\r\n`);
  });
}

/** Objects such as a service sends: the same names, and values that differ. */
function jsonOf(bytes: number): string {
  const items: string[] = [];
  let length = 0;
  for (let id = 0; length < bytes; id += 1) {
    const hash = Math.imul(id + 1, 2_654_435_761) >>> 0;
    const item = {
      id,
      name: `item ${hash.toString(36)}`,
      price: hash % 10_000,
      isSold: hash % 3 === 0,
      at: new Date(hash * 1000),
    };
    items.push(JSON.stringify(item));
    length += items.at(-1)?.length ?? 0;
  }
  return `[${items.join(',')}]`.slice(0, bytes);
}
