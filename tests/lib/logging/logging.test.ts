import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import {
  createLogger,
  isLogged,
  type Logger,
  type LoggerOptions,
  SAID,
} from '../../../lib/logging/logger.ts';

/** What a logger writes when `log` has run. */
async function written(
  log: (logger: Logger) => void,
  { level = 'info', format = 'json', terminal = false }: Partial<LoggerOptions> & { terminal?: boolean } = {},
): Promise<string> {
  const stream = Object.assign(new PassThrough(), { isTTY: terminal });
  const logger = createLogger({ level, format, stream });
  log(logger);
  const [transport] = logger.transports;
  await new Promise((resolve) => {
    transport?.once('finish', resolve);
    logger.end();
  });
  return text(stream.end());
}

async function jsonLine(log: (logger: Logger) => void): Promise<Record<string, unknown>> {
  const output = await written(log);
  expect(output.split('\n')).toEqual([expect.any(String), '']);
  return JSON.parse(output);
}

const causedError = () => new Error('outer', { cause: new TypeError('inner') });

describe('json lines', () => {
  it('carry time, level, message and what the caller adds', async () => {
    const line = await jsonLine((logger) => logger.warn('Something', { requestId: 'r-1', status: 502 }));
    expect(line).toEqual({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'warn',
      message: 'Something',
      requestId: 'r-1',
      status: 502,
    });
  });

  it.each([
    { name: 'newlines', message: 'one\ntwo\r\nthree' },
    { name: 'quotes', message: '"quoted" \\ ' },
    { name: 'unicode', message: '\u{1F6A8} CIRCUIT BREAKER TRIPPED for http://a' },
    { name: 'separators', message: 'a\u2028b' },
    { name: 'escapes', message: '\u001b[31mred\u001b[0m' },
    { name: 'percent signs', message: '100 %s of %d' },
  ])('stay one line with $name', async ({ message }) => {
    expect((await jsonLine((logger) => logger.info(message))).message).toBe(message);
  });

  it('leave out what is undefined', async () => {
    const line = await jsonLine((logger) => logger.info('a', { replica: undefined }));
    expect(line).not.toHaveProperty('replica');
  });

  it('keep the message when a detail is called message', async () => {
    const line = await jsonLine((logger) => logger.info('mine', { error: { message: 'theirs' } }));
    expect(line.message).toBe('mine');
  });

  it('carry an error with its stack and its cause', async () => {
    const { error } = await jsonLine((logger) => logger.error('Broken', { error: causedError() }));
    expect(error).toMatchObject({
      name: 'Error',
      message: 'outer',
      stack: expect.stringContaining('logging.test.ts'),
      cause: { name: 'TypeError', message: 'inner', stack: expect.stringContaining('logging.test.ts') },
    });
  });

  it("carry an error's code and none of its other details, which may be secret", async () => {
    const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', password: 'hunter2' });
    const line = await jsonLine((logger) => logger.warn('Store', { error }));
    expect(line.error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(line.error).not.toHaveProperty('password');
  });

  it('survive an error that causes itself', async () => {
    const error = new Error('round');
    error.cause = error;
    const line = await jsonLine((logger) => logger.warn('Odd', { error }));
    expect(line.error).toMatchObject({ message: 'round' });
  });

  it('survive details that JSON does not know', async () => {
    const round: { self?: unknown } = {};
    round.self = round;
    const line = await jsonLine((logger) => logger.info('a', { big: 2n ** 64n, round, when: new Date(0) }));
    expect(line).toMatchObject({ big: '18446744073709551616', when: '1970-01-01T00:00:00.000Z' });
  });
});

describe('readable lines', () => {
  const pretty = (log: (logger: Logger) => void, terminal = false) =>
    written(log, { format: 'pretty', terminal });

  it('show time, level, message and details', async () => {
    const line = await pretty((logger) =>
      logger.info('Request', { requestId: 'r-1', status: 200, tags: ['a'], replica: undefined }),
    );
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info Request requestId=r-1 status=200 tags=\[ 'a' \]\n$/);
  });

  it('do not repeat what the message says already', async () => {
    const log = (logger: Logger) =>
      logger.info('GET /x 200', {
        method: 'GET',
        status: 200,
        port: 'internal',
        [SAID]: new Set(['method', 'status']),
      });
    expect(await pretty(log)).toMatch(/ info GET \/x 200 port=internal\n$/);
    expect(await jsonLine(log)).toMatchObject({ method: 'GET', status: 200, port: 'internal' });
  });

  it('survive details that JSON does not know', async () => {
    const round: { self?: unknown } = {};
    round.self = round;
    const line = await pretty((logger) => logger.info('a', { big: 12n, round }));
    expect(line).toContain('big=12n round=<ref *1> { self: [Circular *1] }');
  });

  it('have no colours off a terminal', async () => {
    expect(await pretty((logger) => logger.error('Broken'))).not.toContain('\u001b');
  });

  it('have colours on a terminal', async () => {
    const line = await pretty((logger) => logger.error('Broken'), true);
    expect(line).toContain('\u001b[31merror\u001b[39m Broken');
  });

  it('show the stack of an error and its cause', async () => {
    const line = await pretty((logger) => logger.error('Broken', { error: causedError() }));
    expect(line).toContain('error=Error: outer\n');
    expect(line).toContain('TypeError: inner\n');
  });
});

describe('a logger', () => {
  it('writes nothing below its level', async () => {
    const output = await written(
      (logger) => {
        logger.debug('debug');
        logger.info('info');
        logger.warn('warn');
        logger.error('error');
      },
      { level: 'warn' },
    );
    const lines = output.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['warn', 'error']);
  });

  it('does not format what it does not write', async () => {
    let reads = 0;
    const costly = {
      get detail() {
        reads += 1;
        return 'costly';
      },
      toJSON() {
        reads += 1;
      },
    };
    expect(await written((logger) => logger.debug('a', { costly }))).toBe('');
    expect(reads).toBe(0);
  });

  it.each([
    { level: 'error', enabled: false },
    { level: 'info', enabled: true },
    { level: 'debug', enabled: true },
  ] as const)('at level $level says whether info is worth preparing: $enabled', ({ level, enabled }) => {
    const logger = createLogger({ level, format: 'json', stream: new PassThrough() });
    expect([isLogged(logger, 'info'), logger.isInfoEnabled()]).toEqual([enabled, enabled]);
  });
});
