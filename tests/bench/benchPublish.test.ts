import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { NO_FIGURES } from '../../bench/measure/measure.ts';
import { costPicture } from '../../bench/report/picture.ts';
import { publishedTable, withTable } from '../../bench/report/publish.ts';
import type { SubjectResult } from '../../bench/report/results.ts';

const PAGE = readFileSync(new URL('../../docs/performance.md', import.meta.url), 'utf8');

const rounds = (...us: number[]) => us.map((cpuUs) => ({ ...NO_FIGURES, cpuUs }));
const forward: SubjectResult = {
  name: 'forward',
  title: 'GET <1 KiB>',
  references: ['traefik'],
  rounds: new Map([
    ['gateway internal', rounds(30, 60, 45)],
    ['traefik', rounds(40, 80, 60)],
    ['control', rounds(30, 60, 45)],
  ]),
  missing: [],
  control: { name: 'control', of: 'gateway internal' },
};
const budget = {
  subject: 'forward',
  contender: 'gateway internal',
  figure: 'cpuUs',
  of: 'traefik',
  atMost: 0.75,
} as const;

describe('what npm run bench publishes', () => {
  it('is one table, with budgets and without the control', () => {
    const table = publishedTable([forward], [{ budget, value: 0.75, outcome: 'kept' }]);
    const rows = table
      .split('\n')
      .map((line) => line.split(' | ').map((cell) => cell.replaceAll('|', '').trim()));
    expect(rows.slice(2)).toEqual([
      [
        'forward',
        'gateway internal',
        '45.0',
        '0.75',
        '',
        '',
        '',
        '',
        'CPU us/request of traefik 0.75, at most 0.75: **kept**',
      ],
      ['forward', 'traefik', '60.0', '1.00', '', '', '', '', ''],
    ]);
  });

  it('goes between the two marks of the page, again and again', () => {
    const once = withTable(PAGE, 'one');
    expect(once).toContain('begin -->\n\none\n\n<!--');
    expect(withTable(once, 'one')).toBe(once);
    expect(withTable(once, 'two')).toBe(withTable(PAGE, 'two'));
    expect(() => withTable('no marks', 'one')).toThrow('has no lines');
  });

  it('is one picture, the cheapest first', () => {
    const svg = costPicture(forward);
    expect(svg).toContain('GET &lt;1 KiB&gt;');
    expect(svg).not.toContain('control');
    expect([...svg.matchAll(/text-anchor="end">([^<]+)</g)].map(([, name]) => name)).toEqual([
      'gateway internal',
      'traefik',
    ]);
  });
});
