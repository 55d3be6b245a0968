import { REPLIES, type ReplyCode } from './replies/replies.ts';

const CODES: ReadonlySet<unknown> = new Set(Object.keys(REPLIES));

/** Which reply an error gets. */
export function codeOf(error: unknown): ReplyCode {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return CODES.has(code) ? (code as ReplyCode) : 'internal_error';
}
