import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { expect, it } from '@jest/globals';
import { listenToSignals } from '../../../gateway/process/signals.ts';
import { LineTransport } from '../../../lib/logging/lineTransport.ts';
import { createLogger } from '../../../lib/logging/logger.ts';
import { ManualClock } from '../../support/manualClock.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

function listening() {
  const clock = new ManualClock();
  const process = new FakeProcess();
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  const logger = createLogger({ level: 'info', format: 'json', stream });
  const calls = { stop: 0, level: 0, snapshot: 0 };
  listenToSignals({
    process,
    logger,
    clock,
    onStop: () => void calls.stop++,
    onSwitchLevel: () => void calls.level++,
    onHeapSnapshot: () => void calls.snapshot++,
  });
  const log = () => {
    for (const transport of logger.transports) if (transport instanceof LineTransport) transport.flush();
    return chunks.join('');
  };
  return { clock, process, calls, log };
}

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
])('a second %s within a second is the same wish; later it ends the process with %i', (signal, code) => {
  const { clock, process, calls, log } = listening();
  process.emit(signal);
  clock.advance(999);
  process.emit(signal);
  expect({ stop: calls.stop, exits: process.exits }).toEqual({ stop: 2, exits: [] });
  clock.advance(1);
  process.emit(signal);
  expect(process.exits).toEqual([code]);
  expect(log()).toContain(`${signal} came again: ending at once`);
});

it('a SIGINT after a SIGTERM counts as its second', () => {
  const { clock, process } = listening();
  process.emit('SIGTERM');
  clock.advance(5_000);
  process.emit('SIGINT');
  expect(process.exits).toEqual([130]);
});

it.each(['SIGHUP', 'SIGUSR1'])('%s does nothing but say so', (signal) => {
  const { clock, process, calls, log } = listening();
  process.emit(signal);
  clock.advance(60_000);
  process.emit(signal);
  expect({ ...calls, exits: process.exits }).toEqual({ stop: 0, level: 0, snapshot: 0, exits: [] });
  expect(log().match(new RegExp(`${signal} ignored`, 'g'))).toHaveLength(2);
});

it('SIGUSR2 switches the level', () => {
  const { process, calls } = listening();
  process.emit('SIGUSR2');
  expect(calls).toEqual({ stop: 0, level: 1, snapshot: 0 });
});

it('SIGURG takes a heap snapshot, and does not touch the level', () => {
  const { process, calls } = listening();
  process.emit('SIGURG');
  expect(calls).toEqual({ stop: 0, level: 0, snapshot: 1 });
});
