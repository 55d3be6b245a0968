import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CURVES_COMMAND } from '../../bench/curves/command.ts';
import { type Curve, pointName } from '../../bench/curves/curve.ts';
import { CURVE_NAMES, CURVES } from '../../bench/curves/list.ts';
import { curvePicture } from '../../bench/curves/picture.ts';
import { Client } from '../../bench/load/client.ts';
import { Lines } from '../../bench/load/lines.ts';
import { percentiles } from '../../bench/load/percentiles.ts';
import { Row } from '../../bench/load/row.ts';
import { NO_FIGURES } from '../../bench/measure/measure.ts';
import type { SubjectResult } from '../../bench/report/results.ts';
import { shuffled } from '../../bench/report/statistics.ts';
import { parseFlags } from '../../config/commandLine/flags.ts';
import { ensureCommand, run } from '../support/processes/command.ts';

const WITHIN_MS = 120_000;
const ROOT = new URL('../../', import.meta.url).pathname;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bench-curves-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the order of a round', () => {
  it('has everybody, and is drawn by lot', () => {
    const lots = [0.5, 0.1, 0.9];
    expect(shuffled(['a', 'b', 'c'], () => lots.shift() ?? Number.NaN)).toEqual(['b', 'a', 'c']);
  });
});

describe('latencies', () => {
  it('are ranked by their size', () => {
    const latenciesMs = Array.from({ length: 1001 }, (_, i) => 1000 - i);
    expect(percentiles(latenciesMs)).toEqual({ p50Ms: 500, p99Ms: 990, p999Ms: 999 });
  });
});

describe('clients in a row', () => {
  it('are taken in the order in which they were added', () => {
    const row = new Row(['a', 'b', 'c']);
    expect([row.take(), row.take()]).toEqual(['a', 'b']);
    row.add('b');
    row.add('a');
    expect([row.take(), row.take(), row.take()]).toEqual(['c', 'b', 'a']);
    expect(() => row.take()).toThrow('nobody is in the row');
  });
});

describe('lines in turn', () => {
  const file = (text: string) => {
    const path = join(directory, 'lines');
    writeFileSync(path, text);
    return path;
  };

  it('begin again after the last, and a later process goes on where this one ended', () => {
    const path = file('/1\n/2\n/3\n');
    const lines = new Lines(path);
    expect([1, 2, 3, 4].map(() => lines.next())).toEqual(['/1', '/2', '/3', '/1']);
    lines.keepPlace();
    expect(new Lines(path).next()).toBe('/2');
  });

  it.each(['', 'no end', '/1\n/22\n'])('must be of one length: %j', (text) => {
    expect(() => new Lines(file(text))).toThrow('lines of one length');
  });
});

describe('a client', () => {
  /** What it makes of an answer that comes in these pieces, and of a second one. */
  async function statusesOf(answer: (socket: Socket) => void): Promise<number[]> {
    const server = createServer((socket) => socket.on('data', () => answer(socket))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new Client((server.address() as AddressInfo).port, '127.0.0.1', Client.buffer());
    await client.opened;
    const statuses: number[] = [];
    for (const _ of [1, 2]) {
      const { promise, resolve } = Promise.withResolvers<number>();
      client.ask('GET / HTTP/1.1\r\n\r\n', undefined, resolve);
      statuses.push(await promise);
    }
    client.close();
    server.close();
    await once(server, 'close');
    return statuses;
  }

  const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n';

  it.each([
    { what: 'an answer at once', pieces: [`${OK}body`], statuses: [200, 200] },
    {
      what: 'an answer in pieces',
      pieces: [OK.slice(0, 20), OK.slice(20), 'bo', 'dy'],
      statuses: [200, 200],
    },
    { what: 'no content', pieces: ['HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n'], statuses: [429, 429] },
  ])('reads $what', async ({ pieces, statuses }) => {
    const answer = (socket: Socket) => {
      const [piece, ...rest] = pieces;
      socket.write(piece ?? '');
      // Each piece is a read of its own.
      for (const [index, later] of rest.entries()) setTimeout(() => socket.write(later), 20 * (index + 1));
    };
    expect(await statusesOf(answer)).toEqual(statuses);
  });

  it('tells of a connection that breaks, and of one that is broken', async () => {
    expect(await statusesOf((socket) => socket.end(`${OK}b`))).toEqual([Number.NaN, Number.NaN]);
  });

  it('does not measure what has no known length', async () => {
    expect(await statusesOf((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'))).toEqual([
      Number.NaN,
      Number.NaN,
    ]);
  });
});

describe('the flags', () => {
  const parse = (...args: string[]) => parseFlags(CURVES_COMMAND, args);

  it('ask for every point of every curve, five times, unless told otherwise', () => {
    expect(parse()).toMatchObject({ only: [], rounds: 5, seconds: 2, warmUp: 60_000, pictures: undefined });
    for (const { points } of CURVES) expect(parse().upTo).toBeGreaterThanOrEqual(Math.max(...points));
    expect(
      parse('--only', 'keys,tokens', '--up-to', '1000', '--warm-up', '0', '--pictures', 'x'),
    ).toMatchObject({ only: ['keys', 'tokens'], upTo: 1000, warmUp: 0, pictures: 'x' });
  });

  it.each([
    { args: ['--only', 'conections'], message: 'did you mean connections?' },
    { args: ['--up-to', '0'], message: '--up-to must be a whole number from 1 to 1000000000, got "0"' },
    { args: ['--warm-up', 'long'], message: '--warm-up must be a whole number from 0' },
    { args: ['--check'], message: "Unknown option '--check'" },
  ])('refuse $args', ({ args, message }) => {
    expect(() => parse(...args)).toThrow(message);
  });
});

describe('a picture', () => {
  const curve: Curve = {
    name: 'bytes',
    title: 'content & more',
    axis: 'content',
    unit: 'bytes',
    points: [1024, 10_240, 1_048_576],
    lines: [],
  };

  /** Three rounds of each point, 10 % around its median. */
  function result(name: string, medians: readonly number[]): SubjectResult {
    const rounds = medians.map((middle, index): [string, (typeof NO_FIGURES)[]] => [
      pointName(curve, curve.points[index] ?? 0),
      [0.9, 1, 1.1].map((part) => ({ ...NO_FIGURES, cpuUs: middle * part })),
    ]);
    return { name, title: '', references: [], rounds: new Map(rounds), missing: [] };
  }

  const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)/g)].map(([, text]) => text);
  const numbers = (svg: string, pattern: RegExp) =>
    [...svg.matchAll(pattern)].map(([, number]) => Number(number));

  it('names the points, the unit and what came of each point', () => {
    const svg = curvePicture(curve, [result('bytes, internal', [100, 123.4, 150])]);
    expect(texts(svg)).toEqual(
      expect.arrayContaining(['1 KiB', '10 KiB', '1 MiB', 'content, logarithmic', '100', '123', '150']),
    );
    expect(texts(svg)).toContain('CPU us/request');
    expect(svg).toContain('content &amp; more');
  });

  it('has decades at the same distance and costs in proportion, from nothing on', () => {
    const svg = curvePicture(curve, [result('bytes, internal', [100, 200, 100])]);
    const [first = 0, second = 0, third = 0] = numbers(svg, /<circle cx="([\d.]+)"/g);
    expect((third - first) / (second - first)).toBeCloseTo(Math.log10(1024), 1);
    const [low = 0, high = 0] = numbers(svg, /<circle[^>]*cy="([\d.]+)"/g);
    const zero = Math.max(...numbers(svg, /<path d="M64 ([\d.]+)H/g));
    expect((zero - high) / (zero - low)).toBeCloseTo(2, 1);
  });

  it('has a band of 10 % on both sides of the first three points', () => {
    const svg = curvePicture(curve, [result('bytes, internal', [100, 90, 400])]);
    const [top = 0] = numbers(svg, /<rect x="64" y="([\d.]+)"/g);
    const [height = 0] = numbers(svg, /<rect x="64"[^>]*height="([\d.]+)"/g);
    const zero = Math.max(...numbers(svg, /<path d="M64 ([\d.]+)H/g));
    // From 90 to 110, around the median, 100.
    expect((zero - top) / (zero - top - height)).toBeCloseTo(110 / 90, 1);
  });

  it('of several lines names them, and leaves out the points before the first one to be drawn', () => {
    const svg = curvePicture({ ...curve, drawnFrom: 10_240 }, [
      result('bytes, internal download', [1, 2, 3]),
      result('bytes, external download', [4, 5, 6]),
    ]);
    expect(texts(svg)).toEqual(expect.arrayContaining(['internal download', 'external download', '10 KiB']));
    expect(texts(svg)).not.toContain('1 KiB');
  });
});

describe('the command', () => {
  it('names every curve in its help', async () => {
    const { stdout } = await run(process.execPath, ['bench/curves.ts', '--help'], { cwd: ROOT });
    for (const name of CURVE_NAMES) expect(String(stdout)).toContain(`  ${name} `);
  });

  it(
    'measures two points of a curve and draws them',
    async () => {
      ensureCommand('nginx', 'nginx-light');
      const json = join(directory, 'curves.json');
      const few = [
        '--only',
        'services',
        '--up-to',
        '30',
        '--rounds',
        '1',
        '--seconds',
        '0.5',
        '--warm-up',
        '0',
      ];
      const { stdout } = await run(
        process.execPath,
        ['bench/curves.ts', ...few, '--json', json, '--pictures', directory],
        { cwd: ROOT },
      );
      expect(String(stdout)).toMatch(/^services, internal: .*\n.*CPU us.*\n10 .*\n30 /m);
      const [services] = JSON.parse(readFileSync(json, 'utf8')).curves;
      for (const { medians } of services.contenders) {
        expect(medians).toMatchObject({ cpuUs: expect.any(Number), rssMiB: expect.any(Number) });
      }
      expect(services.contenders.map(({ name }: { name: string }) => name)).toEqual(['10', '30']);
      expect(readFileSync(join(directory, 'services.svg'), 'utf8')).toContain('services, logarithmic');
    },
    WITHIN_MS,
  );
});
