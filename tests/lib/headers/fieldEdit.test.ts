import { describe, expect, it } from '@jest/globals';
import { FieldEdit, NO_RULES } from '../../../lib/headers/fieldEdit.ts';

const lines = () => ['Server', 'x', 'X-A', '1', 'x-a', '2', 'X-B', '3'];

describe('FieldEdit', () => {
  it('sets in place of all, adds beside them, removes in any case, and leaves the rest in order', () => {
    const edit = new FieldEdit({
      set: ['x-A', 'new', 'X-C', '4'],
      add: ['X-B', '5'],
      remove: ['server', 'x-none'],
    });
    expect(edit.apply(lines())).toEqual(['X-B', '3', 'x-A', 'new', 'X-C', '4', 'X-B', '5']);
    expect([edit.drops('x-a'), edit.drops('server'), edit.drops('x-b')]).toEqual([true, true, false]);
  });

  it('adds a fallback where nothing of its name is left or given', () => {
    const rules = { set: ['X-D', 'set'], add: [], remove: ['x-b'] };
    const edit = new FieldEdit(rules, ['x-a', 'f', 'X-B', 'f', 'X-C', 'f', 'x-d', 'f']);
    expect(edit.apply(lines())).toEqual([
      'Server',
      'x',
      'X-A',
      '1',
      'x-a',
      '2',
      'X-D',
      'set',
      'X-B',
      'f',
      'X-C',
      'f',
    ]);
    expect(edit.apply(['X-C', 'own'])).toEqual(['X-C', 'own', 'X-D', 'set', 'x-a', 'f', 'X-B', 'f']);
  });

  it('changes nothing without rules', () => {
    expect(new FieldEdit(NO_RULES).isEmpty).toBe(true);
    expect(new FieldEdit(NO_RULES).apply(lines())).toEqual(lines());
    expect(new FieldEdit(NO_RULES, ['X-A', '1']).isEmpty).toBe(false);
  });
});
