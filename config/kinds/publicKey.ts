import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type Kind, kind } from './kinds.ts';

const ACCEPTED = 'a public key or certificate in PEM';

/** A public key in PEM. */
export const publicKey: Kind<string> = kind(
  ACCEPTED,
  (given) => (succeeds(() => createPublicKey(given)) && !isPrivate(given) ? given : undefined),
  (given) =>
    isPrivate(given) ? `${ACCEPTED}; this one is private, and only its issuer may have it` : undefined,
);

function isPrivate(pem: string): boolean {
  return /PRIVATE KEY/.test(pem) || succeeds(() => createPrivateKey(pem));
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
