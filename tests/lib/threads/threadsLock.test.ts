import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { Team, type TeamMember } from '../../support/threads/team.ts';

const MODULE = 'locks.ts';
/** Of `locks.ts`. */
const [INSIDE, MOST, VISITS] = [0, 1, 2] as const;
const WITHIN_MS = 60_000;

interface Threads extends AsyncDisposable {
  readonly count: (cell: number) => number;
  readonly visit: (member: number) => Promise<number>;
  /** One goes in and stays; resolves once so many are inside. */
  stay(member: number, inside: number): Promise<void>;
  end(member: number): Promise<unknown>;
  /** Lets out one that stays. */
  open(member: number): void;
  forget(cell: number): void;
}

async function startThreads(members: number): Promise<Threads> {
  const gates = new Int32Array(new SharedArrayBuffer(4 * (members + 1)));
  const team = new Team(MODULE, members, () => ({ whole: 3 }), { gates });
  const one = (n: number) => team.members[n] as TeamMember;
  const { cells } = team.share;
  const count = (cell: number) => cells.get(cell);
  await Promise.all(team.members.map((member) => member.ask('visit')));
  return {
    count,
    visit: (n) => one(n).ask('visit'),
    async stay(n, inside) {
      one(n).worker.postMessage('stay');
      await eventually('it is in', () => count(INSIDE) === inside);
    },
    end: (n) => one(n).worker.terminate(),
    open: (n) => {
      Atomics.store(gates, n + 1, 1);
      Atomics.notify(gates, n + 1);
    },
    forget: (cell) => cells.set(cell, 0),
    [Symbol.asyncDispose]: () => team[Symbol.asyncDispose](),
  };
}

describe('what only one of several threads does at a time', () => {
  it(
    'is done by the others again when one has ended within it and nobody says so',
    async () => {
      await using threads = await startThreads(3);
      await threads.stay(0, 1);
      await threads.end(0);
      await Promise.all([threads.visit(1), threads.visit(2)]);
      expect(threads.count(VISITS)).toBe(3 + 2);
      // The one that ended is in there still, as far as the numbers say.
      expect(threads.count(MOST)).toBe(2);
      expect(threads.count(INSIDE)).toBe(1);
    },
    WITHIN_MS,
  );

  it(
    'is not done by a second one while the first takes its time',
    async () => {
      await using threads = await startThreads(3);
      await threads.stay(0, 1);
      const others = [threads.visit(1), threads.visit(2)];
      setTimeout(() => threads.open(0), 200);
      await Promise.all(others);
      expect(threads.count(MOST)).toBe(1);
      expect(threads.count(INSIDE)).toBe(0);
    },
    WITHIN_MS,
  );

  it(
    'is not ended by one that others have given up, when that one comes back',
    async () => {
      await using threads = await startThreads(3);
      await threads.stay(0, 1);
      await threads.stay(1, 2);
      threads.open(0);
      await eventually('it is out', () => threads.count(INSIDE) === 1);
      threads.forget(MOST);
      const visited = threads.visit(2);
      setTimeout(() => threads.open(1), 200);
      await visited;
      expect(threads.count(MOST)).toBe(1);
    },
    WITHIN_MS,
  );
});
