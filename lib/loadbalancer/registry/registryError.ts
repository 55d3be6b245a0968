import { isAxiosError } from 'axios';

/**
 * A call to the registry failed. The message names call, address and reason. What axios threw is not kept as the
 * cause: it holds the whole request, password included.
 */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  /** With what status the registry refused, if it did. */
  readonly status: number | undefined;

  /** `call` is shown as it is: it must hold no password. */
  constructor(call: string, reason: unknown) {
    const status = refusalIn(reason);
    super(`registry: ${call} failed: ${status ? refusal(status) : wordsFor(reason)}`);
    this.status = status;
  }

  /** Whether the registry is in trouble, rather than against just this call. */
  get isAway(): boolean {
    return this.status === undefined || this.status >= 500;
  }
}

function refusalIn(reason: unknown): number | undefined {
  const status = isAxiosError(reason) ? reason.response?.status : undefined;
  return status !== undefined && status >= 300 ? status : undefined;
}

function refusal(status: number): string {
  return status < 400 ? `it answered ${status}, and redirects are not followed` : `it answered ${status}`;
}

/** A refused `localhost` has a code and an empty message. */
function wordsFor(reason: unknown): string {
  if (!Error.isError(reason)) return String(reason);
  return reason.message || ('code' in reason ? String(reason.code) : reason.name);
}
