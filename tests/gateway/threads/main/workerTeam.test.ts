import { describe, expect, it } from '@jest/globals';
import { WorkerTeam } from '../../../../gateway/threads/main/team.ts';
import type { WorkerThread } from '../../../../gateway/threads/main/workerThread.ts';
import { createLogger } from '../../../../lib/logging/logger.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const PORTS = { externalPort: 1, internalPort: 2 };

/** Threads without a body, which end when the test says so. */
function newTeam(size: number) {
  const clock = new ManualClock();
  const spawned: { thread: WorkerThread; end: () => void; listen: () => void; told: string[] }[] = [];
  const team: WorkerTeam = new WorkerTeam({
    size,
    threadNumbers: Array.from({ length: 2 * size }, (_, i) => i + 1),
    spawn: (threadNumber) => {
      const listening = Promise.withResolvers<typeof PORTS>();
      const ended = Promise.withResolvers<void>();
      const told: string[] = [];
      const thread = {
        number: spawned.length + 1,
        threadNumber,
        isEnding: false,
        listening: listening.promise,
        ended: ended.promise,
        tell: ({ kind }: { kind: string }) => void told.push(kind),
      } as unknown as WorkerThread;
      const end = () => {
        thread.isEnding = true;
        team.left(thread);
        ended.resolve();
      };
      spawned.push({ thread, end, listen: () => listening.resolve(PORTS), told });
      return thread;
    },
    logger: createLogger({ level: 'error', format: 'json' }),
    clock,
  });
  return { team, spawned, clock };
}

async function started(size: number) {
  const parts = newTeam(size);
  const starting = parts.team.start(false, () => {});
  for (const { listen } of parts.spawned) listen();
  await starting;
  return parts;
}

describe('a team of workers', () => {
  it('starts the others once the first has chosen its ports', async () => {
    const { team, spawned } = newTeam(3);
    const chosen: unknown[] = [];
    const starting = team.start(true, (ports) => chosen.push(ports));
    expect(spawned).toHaveLength(1);
    spawned[0]?.listen();
    await spawned[0]?.thread.listening;
    await Promise.resolve();
    expect(spawned).toHaveLength(3);
    for (const { listen } of spawned) listen();
    await starting;
    expect(chosen).toEqual([PORTS]);
  });

  it('replaces one that is ending while it still has its number', async () => {
    const { team, spawned } = await started(2);
    const [first] = spawned;
    if (first) first.thread.isEnding = true;
    team.fill();
    expect(spawned.map(({ thread }) => thread.threadNumber)).toEqual([1, 2, 3]);
    first?.end();
    expect(spawned).toHaveLength(3);
  });

  it('pauses longer and longer for workers that end early, and not for one that has served', async () => {
    const { spawned, clock } = await started(1);
    const endLatest = () => spawned.at(-1)?.end();
    endLatest();
    expect(spawned).toHaveLength(2);
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      const before = spawned.length;
      endLatest();
      clock.advance(pauseMs - 1);
      expect(spawned).toHaveLength(before);
      clock.advance(1);
      expect(spawned).toHaveLength(before + 1);
    }
    clock.advance(10_000);
    const before = spawned.length;
    endLatest();
    expect(spawned).toHaveLength(before + 1);
  });

  it('replaces nobody once it is stopped', async () => {
    const { team, spawned } = await started(2);
    const stopping = team.stop(1_000);
    expect(spawned.map(({ told }) => told)).toEqual([['drain'], ['drain']]);
    for (const { end } of spawned) end();
    await stopping;
    expect(spawned).toHaveLength(2);
  });
});
