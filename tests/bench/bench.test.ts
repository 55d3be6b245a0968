import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { LoadFigures } from '../../bench/load/load.ts';
import { cpuTicks, usageOf } from '../../bench/machine/accounting.ts';
import { BENCH_COMMAND, checkTogether } from '../../bench/measure/command.ts';
import { assertCounts, countsIn } from '../../bench/measure/gatewayCounts.ts';
import { NO_FIGURES } from '../../bench/measure/measure.ts';
import { SUBJECT_NAMES, SUBJECTS } from '../../bench/measure/subjects.ts';
import { assertNoErrors } from '../../bench/measure/verify.ts';
import { warmUp } from '../../bench/measure/warmUp.ts';
import { type Budget, judge, readBudgets, type Verdict, whyNotJudged } from '../../bench/report/budgets.ts';
import { resultTable } from '../../bench/report/report.ts';
import type { SubjectResult } from '../../bench/report/results.ts';
import { median, medianRatio, orderOfRound } from '../../bench/report/statistics.ts';
import { parseFlags } from '../../config/commandLine/flags.ts';
import { run } from '../support/processes/command.ts';

const WITHIN_MS = 60_000;
const ROOT = new URL('../../', import.meta.url).pathname;

/** A subject in which the gateway took 30, 90 and 60 us, and the peer 10, 30 and 20 in the same rounds. */
function measured(): SubjectResult {
  const rounds = (figures: number[]) => figures.map((cpuUs) => ({ ...NO_FIGURES, cpuUs }));
  return {
    name: 'forward',
    title: 'GET',
    references: ['peer'],
    rounds: new Map([
      ['gateway', rounds([30, 90, 60])],
      ['peer', rounds([10, 30, 20])],
    ]),
    missing: ['caddy'],
  };
}

describe('statistics', () => {
  it.each([
    { values: [3, 1, 2], expected: 2 },
    { values: [4, 1, 2, 3], expected: 2.5 },
    { values: [7], expected: 7 },
    { values: [], expected: Number.NaN },
  ])('the median of $values is $expected', ({ values, expected }) => {
    expect(median(values)).toBe(expected);
  });

  it('ratios are taken round by round, so that a slow round counts for both', () => {
    expect(medianRatio([10, 100, 12], [10, 100, 10])).toBe(1);
  });

  it('every round has everybody, and neighbours change', () => {
    const orders = [0, 1, 2, 3].map((round) => orderOfRound(['a', 'b', 'c'], round));
    for (const order of orders) expect([...order].sort()).toEqual(['a', 'b', 'c']);
    expect(new Set(orders.map((order) => order[0])).size).toBeGreaterThan(1);
  });
});

describe('accounting', () => {
  it('reads CPU time behind whatever a process is called', () => {
    expect(cpuTicks('7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 9 9 20 0')).toBe(300);
  });

  it(
    'counts the children of a process',
    async () => {
      const burn = 'while (process.cpuUsage().user < 3e5); console.log("done"); setInterval(() => {}, 1e6);';
      // Its own process group, so that both can be ended together.
      const parent = spawn('sh', ['-c', '"$0" -e "$1" & wait', process.execPath, burn], { detached: true });
      const pid = parent.pid ?? 0;
      try {
        await once(parent.stdout, 'data');
        const { cpuSeconds, rssBytes } = usageOf(pid);
        expect(cpuSeconds).toBeGreaterThan(0.25);
        expect(rssBytes).toBeGreaterThan(20 * 2 ** 20);
      } finally {
        process.kill(-pid, 'SIGKILL');
      }
    },
    WITHIN_MS,
  );
});

describe('budgets', () => {
  const budget = { subject: 'forward', contender: 'gateway', figure: 'cpuUs', of: 'peer' } as const;

  it.each<{ budget: Budget; value: number; outcome: Verdict['outcome'] }>([
    { budget: { ...budget, atMost: 3 }, value: 3, outcome: 'kept' },
    { budget: { ...budget, atMost: 2.9 }, value: 3, outcome: 'missed' },
    { budget: { ...budget, atLeast: 3.1 }, value: 3, outcome: 'missed' },
    {
      budget: { subject: 'forward', contender: 'gateway', figure: 'cpuUs', atMost: 60 },
      value: 60,
      outcome: 'kept',
    },
    { budget: { ...budget, of: 'caddy', atMost: 100 }, value: Number.NaN, outcome: 'missed' },
  ])('$budget is $outcome', ({ budget: given, value, outcome }) => {
    expect(judge([given], [measured()])).toEqual([{ budget: given, value, outcome }]);
  });

  it('of subjects that were not measured say nothing', () => {
    expect(judge([{ ...budget, subject: 'hit', atMost: 1 }], [measured()])).toEqual([]);
  });

  it.each([
    {
      what: 'other processes',
      disturbed: { disturbance: { others: 0.2, stolen: 0 } },
      why: /other processes took 20\.0 %/,
    },
    { what: 'the host', disturbed: { disturbance: { others: 0, stolen: 0.1 } }, why: /its host 10\.0 %/ },
    {
      what: 'a process that did not cost the same twice',
      disturbed: { control: { name: 'peer', of: 'gateway' } },
      why: /gateway cost 0\.33 of itself/,
    },
  ])('are not judged beside $what', ({ disturbed, why }) => {
    const result = { ...measured(), ...disturbed };
    expect(whyNotJudged(result)).toMatch(why);
    const [verdict] = judge([{ ...budget, atMost: 1 }], [result]);
    expect(verdict).toMatchObject({ value: 3, outcome: 'not judged' });
  });

  it('are judged on a quiet machine', () => {
    const quiet = { disturbance: { others: 0.01, stolen: 0 }, control: { name: 'gateway', of: 'gateway' } };
    expect(whyNotJudged({ ...measured(), ...quiet })).toBeUndefined();
  });

  it('in the file speak of subjects and contenders that there are', () => {
    for (const { subject, contender, of = contender } of readBudgets()) {
      expect(SUBJECT_NAMES).toContain(subject);
      const names = SUBJECTS.find(({ name }) => name === subject)?.contenders.map(({ name }) => name);
      if (names) expect(names).toEqual(expect.arrayContaining([contender, of]));
    }
  });
});

describe('a run that is not clean is no measurement', () => {
  const clean: LoadFigures = {
    requests: 100,
    seconds: 1,
    notOk: 0,
    broken: 0,
    p50Ms: 1,
    p99Ms: 1,
    p999Ms: 1,
  };

  it.each([
    { what: 'nothing wrong', status: 200, load: clean, isClean: true },
    { what: 'refusals that were due', status: 401, load: { ...clean, notOk: 100 }, isClean: true },
    { what: 'one refusal too many', status: 200, load: { ...clean, notOk: 1 }, isClean: false },
    { what: 'one refusal too few', status: 401, load: { ...clean, notOk: 99 }, isClean: false },
    { what: 'a broken connection', status: 200, load: { ...clean, broken: 1 }, isClean: false },
    { what: 'no answer at all', status: 200, load: { ...clean, requests: 0 }, isClean: false },
  ])('$what', ({ status, load, isClean }) => {
    const check = () => assertNoErrors('peer', { status }, load);
    if (isClean) expect(check).not.toThrow();
    else expect(check).toThrow(/^peer: /);
  });

  const exposition = (ok: number, bad: number, hits: number) =>
    countsIn(
      `gateway_requests_total{service="/a",method="GET",status="200",port="external"} ${ok}
gateway_requests_total{service="/a",method="GET",status="502",port="external"} ${bad}
gateway_cache_hits_total{service="/a"} ${hits}`,
    );

  it.each([
    { what: 'hits', cache: 'HIT', after: exposition(200, 5, 200), isClean: true },
    { what: 'misses in place of hits', cache: 'HIT', after: exposition(200, 5, 150), isClean: false },
    { what: 'hits in place of misses', cache: 'MISS', after: exposition(200, 5, 101), isClean: false },
    { what: 'another status', cache: 'HIT', after: exposition(200, 6, 200), isClean: false },
  ] as const)("the gateway's own counts: $what", ({ cache, after, isClean }) => {
    const contender = { name: 'gateway', server: 'gateway', request: { path: '/a' }, cache } as const;
    const before = exposition(100, 5, 100);
    const check = () => assertCounts(contender, { status: 200 }, { before, after, requests: 100 });
    if (isClean) expect(check).not.toThrow();
    else expect(check).toThrow(/^gateway: /);
  });
});

describe('a warm-up', () => {
  /** Runs it on a contender with these costs, one a run; tells the runs and what came out. */
  async function warmedUp(costs: readonly number[], requests = 1_000) {
    const runs: number[] = [];
    const rate = await warmUp({
      requests,
      seconds: 2,
      measure: async (seconds) => {
        runs.push(seconds);
        return { cpuUs: costs[runs.length - 1] ?? 100, requestsPerSecond: 100 * runs.length };
      },
    });
    return { runs, rate };
  }

  it.each([
    { what: 'as long as it gets cheaper', costs: [300, 200, 150, 149], runs: 4 },
    { what: 'until it has had its requests', costs: [100, 100, 100], runs: 2 },
    { what: 'not for ever', costs: [900, 800, 700, 600, 500, 400, 300, 200, 100, 50], runs: 8 },
  ])('goes on $what', async ({ costs, runs }) => {
    expect(await warmedUp(costs)).toEqual({ runs: Array(runs).fill(6), rate: runs * 100 });
  });

  it('can be left out', async () => {
    expect(await warmedUp([100], 0)).toEqual({ runs: [], rate: Number.NaN });
  });
});

describe('the command', () => {
  const parse = (...args: string[]) => {
    const flags = parseFlags(BENCH_COMMAND, args);
    checkTogether(flags);
    return flags;
  };

  it('measures everything five times unless told otherwise', () => {
    expect(parse()).toMatchObject({ only: [], rounds: 5, seconds: 2, warmUp: 60_000, publish: false });
    expect(parse('--only', 'hit,forward', '--rounds', '7', '--publish', '--json', 'x')).toMatchObject({
      only: ['hit', 'forward'],
      rounds: 7,
      publish: true,
      json: 'x',
    });
  });

  it.each([
    { args: ['--only', 'forwrad'], message: 'did you mean forward?' },
    { args: ['--rounds', '0'], message: '--rounds must be a whole number from 1 to 100, got "0"' },
    { args: ['--rounds', '1.5'], message: '--rounds must be a whole number' },
    { args: ['--publish', '--rounds', '3'], message: '--publish needs --rounds of at least 5, got 3' },
    { args: ['--quick'], message: "Unknown option '--quick'" },
  ])('refuses $args', ({ args, message }) => {
    expect(() => parse(...args)).toThrow(message);
  });

  it('prints one table, with what is missing', () => {
    const lines = resultTable([measured()])
      .split('\n')
      .map((line) => line.trim().split(/\s\s+/));
    expect(lines).toEqual([
      ['forward: GET'],
      ['CPU us', 'min', 'max', '/ peer'],
      ['gateway', '60.0', '30.0', '90.0', '3.00'],
      ['peer', '20.0', '10.0', '30.0', '1.00'],
      ['(not installed: caddy)'],
    ]);
  });

  it(
    'explains itself, and needs none of the peers for that',
    async () => {
      const { stdout } = await run(process.execPath, ['bench/main.ts', '--help'], { cwd: ROOT });
      for (const name of SUBJECT_NAMES) expect(String(stdout)).toContain(`  ${name} `);
    },
    WITHIN_MS,
  );

  it(
    'says what is wrong with a flag and exits with 2',
    async () => {
      const refused = run(process.execPath, ['bench/main.ts', '--rounds', 'many'], { cwd: ROOT });
      await expect(refused).rejects.toThrow(/ended with 2:\n--rounds must be/);
    },
    WITHIN_MS,
  );
});
