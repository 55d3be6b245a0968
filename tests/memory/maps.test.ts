import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, jest } from '@jest/globals';

jest.setTimeout(60_000);

const PROGRAM = fileURLToPath(new URL('../support/programs/fillMemory.ts', import.meta.url));
const MIB = 2 ** 20;
const HEAP_MIB = 128;
/** What the collector leaves lying about while strings of 8 KiB are made by the thousand. */
const NOISE_MIB = 16;
/** 30,000 values of 8 KiB would be 240 MiB. */
const MOST_PEAK_MIB = 320;

/** What docs/sizing.md says each may take at the most, in MiB. */
const BOUNDS: Readonly<Record<string, number>> = {
  'recent outcomes': 2,
  judgements: 0.5,
  epochs: 0.25,
  'owed invalidations': 1,
  'parsed heads': 8,
  'the head before': 0.1,
  'spellings of field names': 0.2,
  sightings: 0.5,
  'responses in memory': 16,
  'responses in memory, each of another owner': 16,
  'what is remembered of Redis': 16,
  'what is remembered of SQLite': 16,
  'verified tokens': 32,
  'rate limits': 32,
  'refusals by rate limits': 32,
  'compressed copies': 16,
  'media types': 0.1,
  'series of metrics': 1,
  exemplars: 1,
};

interface Grown {
  /** By 200,000 short values. */
  readonly manyBytes: number;
  /** By 30,000 values of 8 KiB. */
  readonly longBytes: number;
  readonly peakRssBytes: number;
}

async function run(...args: string[]): Promise<unknown> {
  const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MIB}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROGRAM, ...args]);
  return JSON.parse(stdout);
}

it('every map that can be filled has a bound here', async () => {
  expect(await run()).toEqual(Object.keys(BOUNDS));
});

it.each(Object.entries(BOUNDS))('%s: at most %d MiB, whatever clients send', async (name, boundMib) => {
  const { manyBytes, longBytes, peakRssBytes } = (await run(name)) as Grown;
  expect(manyBytes).toBeLessThan((boundMib + NOISE_MIB) * MIB);
  expect(longBytes).toBeLessThan((boundMib + NOISE_MIB) * MIB);
  expect(peakRssBytes).toBeLessThan(MOST_PEAK_MIB * MIB);
});
