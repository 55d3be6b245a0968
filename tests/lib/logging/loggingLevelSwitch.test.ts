import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { levelSwitch } from '../../../lib/logging/levelSwitch.ts';
import { createLogger, type LogLevel } from '../../../lib/logging/logger.ts';

it.each<[LogLevel, LogLevel]>([
  ['error', 'debug'],
  ['info', 'debug'],
  ['debug', 'info'],
])('a logger at %s is switched to %s and back, and says so each time', async (configured, other) => {
  const stream = new PassThrough();
  const logger = createLogger({ level: configured, format: 'json', stream });
  const turn = levelSwitch(logger);
  for (const level of [other, configured, other]) {
    turn();
    expect(logger.level).toBe(level);
    expect(logger.isDebugEnabled()).toBe(level === 'debug');
    await nextTurn();
    expect(JSON.parse(String(stream.read())).message).toBe(`Log level is now ${level}`);
  }
});
