import { type FileProblem, pathText } from '../file/issues.ts';
import type { RoutePolicy } from '../policies/policies.ts';
import { quote } from '../report/problems.ts';

/** A route of a file, which may say anything. */
export type Written = Readonly<Record<string, unknown>>;

/** A policy that does nothing where no service is asked. */
interface Idle {
  /** What is true there all the same. */
  readonly alsoTrue: readonly unknown[];
  /** Follows "the gateway responds at once". */
  readonly because: string;
}

/** What each policy does on a route that asks no service. */
const BESIDE_FIXED: Readonly<Record<RoutePolicy, Idle | 'holds'>> = {
  auth: { alsoTrue: ['none'], because: 'whoever asks' },
  passAuthorization: { alsoTrue: [false], because: 'and no service gets it' },
  token: { alsoTrue: [], because: 'whoever asks' },
  timeouts: { alsoTrue: [], because: 'and waits for no service' },
  limits: { alsoTrue: [], because: 'however many ask' },
  cache: { alsoTrue: ['off', false], because: 'and keeps nothing' },
  retry: { alsoTrue: ['off', false], because: 'and tries no service' },
  breaker: { alsoTrue: ['off', false], because: 'and asks no service' },
  balance: { alsoTrue: ['least-load'], because: 'and asks no service' },
  mirror: { alsoTrue: ['off', false], because: 'and copies nothing' },
  publicPaths: { alsoTrue: [false], because: 'and cuts no prefix' },
  host: { alsoTrue: [], because: 'and asks no service' },
  compress: 'holds',
  cors: 'holds',
  security: 'holds',
  headers: 'holds',
  allow: 'holds',
  deny: 'holds',
};

/** Whether a policy means anything on a route that asks no service. */
export function holdsBesideFixed(policy: RoutePolicy): boolean {
  return BESIDE_FIXED[policy] === 'holds';
}

const WITHOUT_CONTENT: readonly unknown[] = [204, 205, 304];

/** What a route says itself beside `redirect` or `respond`, and does nothing there. */
export function fixedProblems(route: Written, at: readonly PropertyKey[]): FileProblem[] {
  const action = ['redirect', 'respond'].find((each) => route[each] !== undefined);
  if (action === undefined) return [];
  const idle = Object.entries(BESIDE_FIXED).flatMap(([field, does]) => {
    const isIdle = does !== 'holds' && route[field] !== undefined && !does.alsoTrue.includes(route[field]);
    return isIdle ? [beside([...at, field], action, does.because)] : [];
  });
  return [
    ...idle,
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
