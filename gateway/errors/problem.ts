import { REPLIES, type ReplyCode } from './replies/replies.ts';
import type { Reply } from './replies/reply.ts';

/** The parts of a reply that are the same each time, made once. */
interface Prepared {
  /** Header fields: name, value, name, value. */
  readonly fields: readonly string[];
  /** The content before the request's id, and after it. */
  readonly before: string;
  readonly after: string;
}

const PREPARED = new Map(
  Object.entries(REPLIES).map(([code, said]) => [code as ReplyCode, prepared(code, said)]),
);

/** The content of a reply: problem details (RFC 9457). */
export function problem(code: ReplyCode, requestId: string): string {
  const { before, after } = preparedFor(code);
  return before + JSON.stringify(requestId) + after;
}

/** The header fields of a reply, those that depend on the request left out: name, value, name, value. */
export function problemFields(code: ReplyCode): readonly string[] {
  return preparedFor(code).fields;
}

function preparedFor(code: ReplyCode): Prepared {
  return PREPARED.get(code) as Prepared;
}

function prepared(code: string, { status, title, detail, proxyError }: Reply): Prepared {
  const type = `urn:faf-cab-gateway:problem:${code}`;
  const before = JSON.stringify({ type, title, status, detail, code });
  // Clients of the original gateway read `error`.
  const after = JSON.stringify({ error: title });
  return {
    fields: [
      'Content-Type',
      'application/problem+json',
      'Proxy-Status',
      `gateway; error=${proxyError}; details="${code}"`,
      'Cache-Control',
      'no-store',
    ],
    before: `${before.slice(0, -1)},"requestId":`,
    after: `,${after.slice(1)}`,
  };
}
