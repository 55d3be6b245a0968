import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createLogger, type LogFormat, type Logger } from '../../../lib/logging/logger.ts';
import { requestLines } from '../../../lib/logging/requestLines.ts';

/** Every character of Unicode that no line may hold as it is. */
const UNSAFE = Array.from({ length: 0x110000 }, (_, code) => String.fromCodePoint(code)).filter((character) =>
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(character),
);

/** Some of them by name, should the classes of Unicode ever change. */
const KNOWN = [
  ...['\0', '\u001b', '\u007f', '\u0085', '\u009b', '\u00ad', '\u061c', '\u180e'],
  ...['\u200b', '\u200c', '\u200d', '\u200e', '\u200f', '\u2028', '\u2029', '\u2060', '\ufeff'],
  ...['\u202a', '\u202b', '\u202c', '\u202d', '\u202e', '\u2066', '\u2067', '\u2068', '\u2069'],
  ...['\u{e0001}', '\u{e0041}', '\ud800', '\udfff'],
];

/** What comes of `log`, as the stream gets it. */
async function written(format: LogFormat, log: (logger: Logger) => void): Promise<string> {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const logger = createLogger({ level: 'debug', format, stream });
  log(logger);
  for (const transport of logger.transports) (transport as unknown as { flush(): void }).flush();
  await nextTurn();
  return text;
}

/** Everywhere that a line can hold somebody's text. */
const PLACES: readonly [where: string, log: (logger: Logger, text: string) => void][] = [
  ['its message', (logger, text) => void logger.info(text)],
  ['a detail', (logger, text) => void logger.info('said', { subject: text })],
  ['the name of a detail within', (logger, text) => void logger.info('said', { of: { [text]: 1 } })],
  ['a list', (logger, text) => void logger.info('said', { values: [text] })],
  ['the message of an error', (logger, text) => void logger.warn('failed', { error: new Error(text) })],
  [
    'the cause of an error',
    (logger, text) => void logger.warn('failed', { error: new Error('a', { cause: new Error(text) }) }),
  ],
  ['the line of a request', (logger, text) => requestLines(logger)(`GET /${text} 200`, { subject: text })],
];

describe.each(['json', 'pretty'] as const)('a %s line', (format) => {
  it.each(PLACES)(
    'never holds a control, invisible or direction character as it is: %s',
    async (_where, log) => {
      // In pieces: an error that is logged may be shortened.
      for (let at = 0; at < UNSAFE.length; at += 100) {
        const characters = UNSAFE.slice(at, at + 100);
        const text = await written(format, (logger) => log(logger, `a${characters.join('b')}c`));
        const kept = characters.filter((character) => character !== '\n' && text.includes(character));
        expect(kept.map((character) => character.codePointAt(0)?.toString(16))).toEqual([]);
      }
    },
  );

  it.each(PLACES)('is one entry, whatever is in %s', async (_where, log) => {
    const forged = '12:00:00.000 info Admin: revoked';
    const text = await written(format, (logger) =>
      log(logger, `a\n${forged}\r\n${forged}\u2028${forged}\u0085${forged}`),
    );
    expect(text.split(/[\n\r\u2028\u2029\u0085]/).filter((line) => line.startsWith('12:00'))).toEqual(
      format === 'json' ? [] : text.startsWith('12:00') ? [text.split('\n')[0]] : [],
    );
    expect(text).toContain('Admin: revoked');
  });
});

it('knows the characters that it was written for', () => {
  expect(KNOWN.filter((character) => !UNSAFE.includes(character))).toEqual([]);
  expect(UNSAFE.length).toBeGreaterThan(2_200);
});

it('a JSON line still says what was logged', async () => {
  const said = KNOWN.slice(0, -2).join('x');
  const line = await written('json', (logger) => logger.info(said, { subject: said }));
  expect(JSON.parse(line)).toMatchObject({ message: said, subject: said });
});

it('other letters of the world stay as they are', async () => {
  const said = 'b\u00fcdget \u0431\u044e\u0434\u0436\u0435\u0442 \u4e88\u7b97 \u{1f6a8} \u26a1';
  for (const format of ['json', 'pretty'] as const) {
    expect(await written(format, (logger) => logger.info(said, { subject: said }))).toContain(said);
  }
});
