import { type FileProblem, pathText } from '../file/issues.ts';
import { quote } from '../report/problems.ts';

/** A route of a file, which may say anything. */
export type Written = Readonly<Record<string, unknown>>;

/** What a route that asks no service cannot do, each with what is true of it all the same. */
const IDLE: readonly (readonly [field: string, true: readonly unknown[], because: string])[] = [
  ['auth', ['none'], 'whoever asks'],
  ['passAuthorization', [false], 'and no service gets it'],
  ['token', [], 'whoever asks'],
  ['timeouts', [], 'and waits for no service'],
  ['limits', [], 'however many ask'],
  ['cache', ['off', false], 'and keeps nothing'],
  ['retry', ['off', false], 'and tries no service'],
  ['breaker', ['off', false], 'and asks no service'],
  ['balance', ['least-load'], 'and asks no service'],
  ['mirror', ['off', false], 'and copies nothing'],
  ['publicPaths', [false], 'and cuts no prefix'],
  ['host', [], 'and asks no service'],
];

const WITHOUT_CONTENT: readonly unknown[] = [204, 205, 304];

/** What a route says itself beside `redirect` or `respond`, and does nothing there. */
export function fixedProblems(route: Written, at: readonly PropertyKey[]): FileProblem[] {
  const action = ['redirect', 'respond'].find((each) => route[each] !== undefined);
  if (action === undefined) return [];
  const idle = IDLE.filter(
    ([field, alsoTrue]) => route[field] !== undefined && !alsoTrue.includes(route[field]),
  );
  return [
    ...idle.map(([field, , because]) => beside([...at, field], action, because)),
    ...(objectOf(objectOf(route).headers).request === undefined
      ? []
      : [beside([...at, 'headers', 'request'], action, 'and no service gets them')]),
    ...needlessBody(objectOf(route.respond), at),
  ];
}

function beside(path: readonly PropertyKey[], action: string, because: string): FileProblem {
  const text = `${pathText(path)} stands beside ${action}: the gateway responds at once, ${because} (expected it on a route to a service)`;
  return { path, text };
}

/** Content that a status has none of (RFC 9110 section 6.4.1). */
function needlessBody({ status, body }: Written, at: readonly PropertyKey[]): FileProblem[] {
  if (body === undefined || !WITHOUT_CONTENT.includes(status)) return [];
  const path = [...at, 'respond', 'body'];
  const text = `${pathText(path)} is ${quote(body)}: expected none, since a response with status ${status} has no content`;
  return [{ path, text }];
}

function objectOf(value: unknown): Written {
  return typeof value === 'object' && value !== null ? (value as Written) : {};
}
