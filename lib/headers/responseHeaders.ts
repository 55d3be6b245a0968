import type { IncomingMessage, ServerResponse } from 'node:http';
import { exchangeOf } from '../exchange/exchange.ts';
import type { FieldLines } from '../http/fields.ts';
import type { HeadEdit } from '../response/hooks.ts';
import { FieldEdit, type FieldRules, NO_RULES } from './fieldEdit.ts';
import { type SecurityRules, securityFields } from './security.ts';

export interface ResponseHeadersOptions {
  readonly rules?: FieldRules | undefined;
  readonly security?: SecurityRules | undefined;
  /** Whether the client has asked over TLS. Default: whether this connection is TLS. */
  readonly isSecure?: (req: IncomingMessage) => boolean;
}

/** Rules about these are about what a service sends. A refusal has content of its own, and must not be stored. */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'cache-control',
  'cdn-cache-control',
  'content-disposition',
  'content-language',
  'content-location',
  'content-type',
  'expires',
  'pragma',
  'surrogate-control',
]);

/** One edit for connections with TLS and one for others. */
interface Edits {
  readonly secure: FieldEdit;
  readonly plain: FieldEdit;
}

/**
 * Changes the fields of responses by rules, and adds what `security` says where a response does not say it itself. On
 * refusals of the gateway, rules about content and how long it may be stored do not count.
 */
export class ResponseHeaders implements HeadEdit {
  readonly #ofResponses: Edits;
  readonly #ofRefusals: Edits;
  readonly #dependsOnTls: boolean;
  readonly #isSecure: (req: IncomingMessage) => boolean;

  constructor({ rules = NO_RULES, security, isSecure = hasTls }: Readonly<ResponseHeadersOptions>) {
    this.#ofResponses = editsFor(rules, security);
    this.#ofRefusals = editsFor(withoutContent(rules), security);
    this.#dependsOnTls = security?.hsts !== undefined;
    this.#isSecure = isSecure;
  }

  edit(lines: string[], _status: number, res: ServerResponse): string[] {
    const edits = exchangeOf(res).errorCode === undefined ? this.#ofResponses : this.#ofRefusals;
    const isSecure = this.#dependsOnTls && this.#isSecure(res.req);
    return (isSecure ? edits.secure : edits.plain).apply(lines);
  }

  drops(lowerCaseName: string): boolean {
    return this.#ofResponses.plain.drops(lowerCaseName);
  }
}

function editsFor(rules: FieldRules, security: SecurityRules | undefined): Edits {
  const plain = new FieldEdit(rules, security && securityFields(security, false));
  const secure = security?.hsts === undefined ? plain : new FieldEdit(rules, securityFields(security, true));
  return { plain, secure };
}

function withoutContent({ set, add, remove }: FieldRules): FieldRules {
  const kept = (lines: FieldLines) =>
    lines.filter((_, i) => !OF_CONTENT.has((lines[i & ~1] as string).toLowerCase()));
  return { set: kept(set), add: kept(add), remove: remove.filter((name) => !OF_CONTENT.has(name)) };
}

function hasTls({ socket }: IncomingMessage): boolean {
  return 'encrypted' in socket;
}
