import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FieldName } from '../proxy/fieldNames.ts';
import { fieldNames } from '../proxy/fieldNames.ts';
import type { HeadEdit } from '../response/hooks.ts';
import { type AllowsOrigin, ANY_ORIGIN, allowsOrigin } from './origins.ts';
import { isNameList } from './preflight.ts';

/** What pages of other origins may do. */
export interface CorsRules {
  /** See `allowsOrigin`; `*` is every origin. */
  readonly origins: readonly string[];
  /** Whether browsers may add what they know of the user: cookies, passwords, certificates. Never with `*`. */
  readonly credentials: boolean;
  readonly methods: readonly string[];
  /** Fields that their requests may have. Undefined: all. */
  readonly allowHeaders: readonly string[] | undefined;
  /** Fields of the response that they may read, beside those that they always may. */
  readonly exposeHeaders: readonly string[];
  /** For how long browsers may remember the answer to a preflight, in seconds. */
  readonly maxAgeSeconds: number;
}

/** What is done with a field of the service. */
type Role = 'passed' | 'cors' | 'vary';

const PREFLIGHT_VARY = 'Access-Control-Request-Method, Access-Control-Request-Headers';

/**
 * Tells browsers which pages may read a response (CORS protocol, Fetch section 3.3). It speaks for the service: that one's own
 * `Access-Control-*` do not pass. An origin that is not allowed gets no such field, and so the browser refuses.
 */
export class Cors implements HeadEdit {
  readonly #allows: AllowsOrigin;
  readonly #isForAll: boolean;
  readonly #methods: readonly string[];
  /** The fields beside the origin, of responses and of preflights. */
  readonly #ofResponse: readonly string[];
  readonly #ofPreflight: readonly string[];
  readonly #repeatsNames: boolean;
  readonly #nameOf: (name: string) => FieldName<Role>;
  /** The last `Vary` of the service: nearly every response has the same. */
  #lastVary = '';
  #lastIsEnough = false;

  constructor({ origins, credentials, methods, allowHeaders, exposeHeaders, maxAgeSeconds }: CorsRules) {
    this.#allows = allowsOrigin(origins);
    this.#isForAll = origins.includes(ANY_ORIGIN);
    this.#methods = methods;
    this.#repeatsNames = allowHeaders === undefined;
    this.#nameOf = fieldNames(roleOf);
    const withCredentials = credentials ? ['Access-Control-Allow-Credentials', 'true'] : [];
    this.#ofResponse = [...withCredentials, ...listField('Access-Control-Expose-Headers', exposeHeaders)];
    this.#ofPreflight = [
      ...withCredentials,
      ...listField('Access-Control-Allow-Headers', allowHeaders ?? []),
      ...['Access-Control-Max-Age', String(maxAgeSeconds)],
    ];
  }

  /** Whether pages of this origin are allowed by its name, and not because all are. */
  names(origin: string): boolean {
    return !this.#isForAll && this.#allows(origin);
  }

  /**
   * The fields of the response to a preflight.
   *
   * @param methods those of `CorsRules.methods` that what was asked for takes: browsers remember them for the URL
   */
  preflightFields({ headers }: Pick<IncomingMessage, 'headers'>, methods = this.#methods): string[] {
    const { origin = '', 'access-control-request-headers': names } = headers;
    const fields = ['Vary', this.#isForAll ? PREFLIGHT_VARY : `Origin, ${PREFLIGHT_VARY}`];
    if (!this.#allows(origin)) return fields;
    fields.push('Access-Control-Allow-Origin', this.#isForAll ? ANY_ORIGIN : origin, ...this.#ofPreflight);
    fields.push(...listField('Access-Control-Allow-Methods', methods));
    if (this.#repeatsNames && names !== undefined && isNameList(names))
      fields.push('Access-Control-Allow-Headers', names);
    return fields;
  }

  edit(lines: string[], _status: number, res: ServerResponse): string[] {
    const { origin } = res.req.headers;
    this.#takeOver(lines);
    if (this.#isForAll) lines.push('Access-Control-Allow-Origin', ANY_ORIGIN, ...this.#ofResponse);
    else if (origin !== undefined && this.#allows(origin))
      lines.push('Access-Control-Allow-Origin', origin, ...this.#ofResponse);
    return lines;
  }

  drops(lowerCaseName: string): boolean {
    return roleOf(lowerCaseName) === 'cors';
  }

  /** Removes the service's own fields, and has `Vary` name the origin where the response depends on it. */
  #takeOver(lines: string[]): void {
    let end = 0;
    let varyAt = -1;
    let varies = this.#isForAll;
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i] as string;
      const value = lines[i + 1] as string;
      const { role } = this.#nameOf(name);
      if (role === 'cors') continue;
      if (role === 'vary') {
        varyAt = end + 1;
        varies ||= this.#isEnough(value);
      }
      lines[end] = name;
      lines[end + 1] = value;
      end += 2;
    }
    lines.length = end;
    if (varies) return;
    if (varyAt === -1) lines.push('Vary', 'Origin');
    else lines[varyAt] = lines[varyAt] === '' ? 'Origin' : `${lines[varyAt]}, Origin`;
  }

  /** Whether a `Vary` says already that the response depends on the origin. */
  #isEnough(vary: string): boolean {
    if (vary !== this.#lastVary) {
      this.#lastVary = vary;
      this.#lastIsEnough = vary.split(',').some((item) => /^\s*(?:origin|\*)\s*$/i.test(item));
    }
    return this.#lastIsEnough;
  }
}

function roleOf(lower: string): Role {
  if (lower === 'vary') return 'vary';
  return lower.startsWith('access-control-') ? 'cors' : 'passed';
}

function listField(name: string, items: readonly string[]): readonly string[] {
  return items.length === 0 ? [] : [name, items.join(', ')];
}
