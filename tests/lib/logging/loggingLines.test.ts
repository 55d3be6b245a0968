import { spawnSync } from 'node:child_process';
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, jest } from '@jest/globals';
import { isoClock } from '../../../lib/logging/isoClock.ts';
import { createLogger, SAID } from '../../../lib/logging/logger.ts';
import { requestLines } from '../../../lib/logging/requestLines.ts';

const LOGGER = new URL('../../../lib/logging/logger.ts', import.meta.url).href;

/** What a process prints that logs `one` and `two` and then does `last` in the same turn. */
function printedBy(last: string): string[] {
  const script = `
    import { createLogger } from '${LOGGER}';
    const logger = createLogger({ level: 'info', format: 'json' });
    logger.info('one');
    logger.info('two');
    ${last}`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).message);
}

it.each([
  { how: 'by process.exit', last: 'process.exit(0);' },
  { how: 'by an uncaught error', last: 'throw new Error("uncaught");' },
  { how: 'because nothing is left to do', last: '' },
])('lines are not lost when the process ends $how', ({ last }) => {
  expect(printedBy(last)).toEqual(['one', 'two']);
});

it('the lines of one turn leave in one piece, and every line leaves', async () => {
  const pieces: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      pieces.push(String(chunk));
      done();
    },
  });
  const logger = createLogger({ level: 'info', format: 'json', stream });
  logger.info('one');
  logger.info('two');
  await nextTurn();
  logger.info('three');
  await nextTurn();
  const messages = pieces.map((piece) =>
    piece
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).message),
  );
  expect(messages).toEqual([['one', 'two'], ['three']]);
});

it('a logger leaves nothing behind in the process once its lines are written', async () => {
  const before = process.listenerCount('exit');
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  createLogger({ level: 'info', format: 'json', stream }).info('one');
  await nextTurn();
  expect(process.listenerCount('exit')).toBe(before);
});

it.each(['json', 'pretty'] as const)(
  'a request line reads as the logger itself would write it: %s',
  async (format) => {
    const lines: string[] = [];
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(...String(chunk).trim().split('\n'));
        done();
      },
    });
    const logger = createLogger({ level: 'info', format, stream });
    const details = {
      requestId: 'one "quoted"',
      status: 200,
      subject: undefined,
      subjectOf: 'ann\nforged',
      [SAID]: new Set(['status']),
    };
    logger.info('GET / 200', details);
    requestLines(logger)('GET / 200', details);
    await nextTurn();
    const [asLogged, asWritten] = lines.map(readable);
    expect(lines).toHaveLength(2);
    expect(asWritten).toEqual(asLogged);

    /** The moment apart, and whatever order JSON's details come in. */
    function readable(line: string): unknown {
      if (format === 'pretty') return line.replace(/^\S+/, '');
      const { timestamp, ...rest } = JSON.parse(line);
      return { ...rest, timestamp: typeof timestamp };
    }
  },
);

it('a line says when it was written, to the millisecond', () => {
  jest.useFakeTimers({ now: 0, doNotFake: ['setImmediate', 'nextTick'] });
  try {
    const clock = isoClock();
    for (const atMs of [0, 7, 42, 999, 1000, 1_764_316_800_005, 1_764_316_799_999]) {
      jest.setSystemTime(atMs);
      expect(clock()).toBe(new Date(atMs).toISOString());
    }
  } finally {
    jest.useRealTimers();
  }
});

it('the line of a request leaves without anything that follows, and many lines at once', async () => {
  const pieces: string[] = [];
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const stream = new Writable({
    write(chunk, _encoding, done) {
      pieces.push(String(chunk));
      resolve();
      done();
    },
  });
  const write = requestLines(createLogger({ level: 'info', format: 'json', stream }));
  write('one', {});
  write('two', {});
  await first;
  expect(pieces).toHaveLength(1);
  expect(pieces[0]?.match(/"message":"(one|two)"/g)).toEqual(['"message":"one"', '"message":"two"']);
  for (let i = 0; i < 1000; i += 1) write('one of many', { i });
  expect(pieces.length).toBeGreaterThan(1);
});
