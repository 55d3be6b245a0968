import { ACCESS_REPLIES } from './access.ts';
import { ADMIN_REPLIES } from './admin.ts';
import { GATEWAY_REPLIES } from './gateway.ts';
import { LIMIT_REPLIES } from './limits.ts';
import type { Reply } from './reply.ts';
import { REQUEST_REPLIES } from './requests.ts';
import { UPSTREAM_REPLIES } from './upstream.ts';

/**
 * Every reply of the gateway's own, by the error's `code`. Status and wording are decided in these tables and nowhere else; a
 * code stands in one of them.
 */
export const REPLIES = {
  ...REQUEST_REPLIES,
  ...ACCESS_REPLIES,
  ...ADMIN_REPLIES,
  ...LIMIT_REPLIES,
  ...UPSTREAM_REPLIES,
  ...GATEWAY_REPLIES,
} as const satisfies Record<string, Reply>;

export type ReplyCode = keyof typeof REPLIES;
