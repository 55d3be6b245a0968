import { createHash } from 'node:crypto';
import { ErrorReply } from 'redis';

/** The SHA-1 by which Redis knows each Lua script, computed once. */
export class ScriptDigests {
  readonly #digests = new Map<string, string>();

  of(script: string): string {
    const known = this.#digests.get(script);
    if (known) return known;
    const digest = createHash('sha1').update(script).digest('hex');
    this.#digests.set(script, digest);
    return digest;
  }
}

/** Whether Redis does not know the script: it was restarted, or told to forget its scripts. */
export function isUnknownScript(error: unknown): boolean {
  const cause = Error.isError(error) ? error.cause : undefined;
  return cause instanceof ErrorReply && cause.message.startsWith('NOSCRIPT');
}
