import { z } from 'zod';
import { isAmbiguousOnceDecoded } from '../../lib/http/ambiguousPath.ts';
import { host } from '../kinds/addresses.ts';
import { duration, type Kind, kind, MAX_COUNT } from '../kinds/kinds.ts';

/** What becomes of the requests that a route is for. */
export type RouteAction = ForwardAction | RedirectAction | RespondAction;

/** A service gets them. */
export interface ForwardAction {
  readonly kind: 'forward';
  /** Path of the service: `/budgeting`. Of a route that is split, the one from which it inherits. */
  readonly service: string;
  /** What is cut off the front of the path: `/budgeting`; '' for nothing. */
  readonly cut: string;
  /** In place of that, the whole path that it gets, such as `/orders/:id`: see `parseTemplate`. */
  readonly rewrite: string | undefined;
}

/** The client is sent elsewhere. */
export interface RedirectAction {
  readonly kind: 'redirect';
  /** A path or an http or https URL, with places as in `parseTemplate`. */
  readonly to: string;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

/** The gateway responds by itself. */
export interface RespondAction {
  readonly kind: 'respond';
  /** 200 to 599. */
  readonly status: number;
  /** Text as it is, anything else as JSON; undefined: no content. */
  readonly body: unknown;
  /** In seconds; undefined: no `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;
}

const CLEAR = 'a path without empty segments and without . and .., in any encoding';

const template: Kind<string> = kind(
  'a path such as /orders/:id or /orders/**, with what the path of match has by name',
  (given) => (isPath(given) && !/[?#]/.test(given) && !isUnclear(given) ? given : undefined),
  (given) => (isPath(given) && isUnclear(given) ? CLEAR : undefined),
);

const destination: Kind<string> = kind(
  'a path such as /new/**, or an http or https URL such as https://faf.example/new/**',
  (given) => {
    const { origin, name, path } = partsOf(given);
    const isOrigin = origin !== undefined && URL.canParse(origin) && host.schema.safeParse(name).success;
    const isThere = origin === undefined ? isPath(path) : isOrigin && (path === '' || isPath(path));
    return isThere && !isUnclear(path) ? given : undefined;
  },
  (given) => {
    const { path } = partsOf(given);
    return isPath(path) && isUnclear(path) ? CLEAR : undefined;
  },
);

/** `https://faf.example`, `faf.example` and `/new/**` of a destination; a path alone has no origin. */
function partsOf(given: string) {
  const match = /^(https?:\/\/([a-z0-9._-]+)(?::\d{1,5})?)(?=[/?#]|$)(.*)$/i.exec(given);
  return { origin: match?.[1], name: match?.[2], path: match?.[3] ?? given };
}

function isPath(text: string): boolean {
  return /^\/[\x21-\x7e]*$/.test(text) && !text.includes('\\');
}

/** Whether whoever gets the path may take it for another; also with a value in the place of `:name`. */
function isUnclear(text: string): boolean {
  const [path = ''] = text.split(/[?#]/);
  return path.includes('//') || /\/\.\.?:/.test(path) || isAmbiguousOnceDecoded(path);
}

const STATUS = { error: 'a status from 200 to 599' };
const REDIRECTS = { error: '301, 302, 303, 307 or 308' };

const WEIGHT = { error: `a number from 0 to ${MAX_COUNT}` };
const SPLIT = { error: 'a list of two services or more, such as [{ service: checkin, weight: 90 }, ...]' };

/** The fields of a route that say what it does. */
export const actionShape = {
  rewrite: template.schema
    .optional()
    .describe('The path that the service gets: /orders/:id, or /new/** for all that ** stands for.'),
  split: z
    .array(
      z.strictObject(
        {
          service: z.string({ error: 'the name of a service' }).describe('Which service.'),
          weight: z
            .number(WEIGHT)
            .min(0, WEIGHT)
            .max(MAX_COUNT, WEIGHT)
            .describe('Its part of the callers, compared to the other weights. 0: nobody.'),
        },
        { error: 'an object such as { service: checkin, weight: 90 }' },
      ),
      SPLIT,
    )
    .min(2, SPLIT)
    .optional()
    .describe('Divides callers among services. Each stays where it is while the weights stay.'),
  redirect: z
    .strictObject(
      {
        to: destination.schema.describe('Where to: /new/**, https://faf.example/:id. A query goes with it.'),
        status: z
          .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)], REDIRECTS)
          .optional()
          .describe('Default: 307, which browsers do not remember; 308 is for good.'),
      },
      { error: 'an object such as { to: /new/** }' },
    )
    .optional()
    .describe('Sends the client elsewhere.'),
  respond: z
    .strictObject(
      {
        status: z.int(STATUS).min(200, STATUS).max(599, STATUS).describe('200 to 599.'),
        body: z.json().optional().describe('A text, or anything else as JSON.'),
        retryAfter: duration.schema.optional().describe('Retry-After: 10m.'),
      },
      { error: 'an object such as { status: 503, body: { error: Back at noon } }' },
    )
    .optional()
    .describe('What the gateway responds by itself.'),
};

const actions = z.object(actionShape);

/** The action of a route that has one of them at most; what is to be forwarded, `forward` says. */
export function actionOf(
  { rewrite, redirect, respond }: z.output<typeof actions>,
  forward: Pick<ForwardAction, 'service' | 'cut'>,
): RouteAction {
  if (redirect) return { kind: 'redirect', to: redirect.to, status: redirect.status ?? 307 };
  if (!respond) return { kind: 'forward', ...forward, rewrite };
  const { status, body, retryAfter } = respond;
  const retryAfterSeconds = retryAfter === undefined ? undefined : Math.ceil(retryAfter / 1000);
  return { kind: 'respond', status, body, retryAfterSeconds };
}
