import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from '@jest/globals';
import { createLogger } from '../../../lib/logging/logger.ts';

// The subject of a token went to the terminal as it was: new lines, escape sequences and all.
it('a detail cannot forge a log line or command the terminal', async () => {
  const stream = new PassThrough();
  const logger = createLogger({ level: 'info', format: 'pretty', stream });
  logger.info('GET /x 200', { subject: '\u001b[2J\n13:00:00.000 error forged', service: '/x' });
  const [piece] = await once(stream, 'data');
  const printed = String(piece);
  expect(printed.trimEnd().split('\n')).toHaveLength(1);
  expect(printed).not.toContain('\u001b');
  expect(printed).toContain('service=/x');
});
