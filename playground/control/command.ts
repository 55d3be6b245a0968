import { FlagError } from '../../config/commandLine/flags.ts';

const ACTIONS = ['kill', 'freeze', 'thaw', 'slow', 'fail', 'heal', 'leave', 'join'] as const;

/** What can be done to a replica. */
export type Action = (typeof ACTIONS)[number];

export interface ReplicaCommand {
  readonly action: Action;
  /** The replica, such as `budgeting.2`; for `join` also a service, such as `budgeting`. */
  readonly name: string;
  /** Milliseconds for `slow`, a status for `fail`, else 0. */
  readonly value: number;
}

export type Command = ReplicaCommand | { readonly action: 'list' };

/** A command that is understood, but cannot be carried out; the message says what can. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

const MAX_DELAY_MS = 60 * 60 * 1000;

interface Value {
  readonly means: string;
  readonly isAccepted: (value: number) => boolean;
}

/** The actions that take a value. */
const VALUES: Partial<Record<Action, Value>> = {
  slow: { means: `milliseconds from 0 to ${MAX_DELAY_MS}`, isAccepted: (ms) => ms <= MAX_DELAY_MS },
  fail: {
    means: 'a status from 400 to 599, or 0 for none',
    isAccepted: (status) => status === 0 || (status >= 400 && status <= 599),
  },
};

/** Reads what was typed; no words at all are `list`. Throws `FlagError`. */
export function parseCommand(words: readonly string[]): Command {
  const [action = 'list', name, ...rest] = words;
  if (action === 'list') {
    if (words.length > 1) throw new FlagError(`list takes nothing more, got ${quoted(words.slice(1))}`);
    return { action };
  }
  if (!isAction(action)) {
    throw new FlagError(`${quoted([action])} is no command: there are list, ${ACTIONS.join(', ')}`);
  }
  if (!name) throw new FlagError(`${action} needs a name, such as ${action} budgeting.1`);
  return { action, name, value: readValue(action, name, rest) };
}

function isAction(word: string): word is Action {
  return ACTIONS.some((action) => action === word);
}

function readValue(action: Action, name: string, words: readonly string[]): number {
  const accepted = VALUES[action];
  const [word = '', ...rest] = words;
  if (!accepted && words.length === 0) return 0;
  if (!accepted) throw new FlagError(`${action} takes a name alone, got ${quoted(words)}`);
  const value = /^\d{1,9}$/.test(word) ? Number(word) : Number.NaN;
  if (rest.length === 0 && accepted.isAccepted(value)) return value;
  const given = words.length > 0 ? `, got ${quoted(words)}` : '';
  throw new FlagError(`${action} ${name} needs ${accepted.means}${given}`);
}

function quoted(words: readonly string[]): string {
  return JSON.stringify(words.join(' '));
}
