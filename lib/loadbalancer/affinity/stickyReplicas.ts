import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { ReplicaPool } from '../pool.ts';
import type { Replica } from '../replica.ts';

const KEY_BYTES = 32;
/** 128 bits, which nobody guesses. */
const MARK_BYTES = 16;
/** In base64url. */
export const MARK_CHARACTERS = 22;
const PURPOSE = 'faf-cab-gateway sticky replicas';

/** The key of marks. It is the same wherever the secret is, and says nothing of it. */
export function stickyKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', PURPOSE, KEY_BYTES)));
}

/**
 * The marks by which clients name replicas of one service: an HMAC-SHA-256 of service and replica. It says nothing of where the
 * replica is, nobody without the key can make one, that of another service is none here, and all gateways with one key have the
 * same ones.
 */
export class StickyReplicas {
  readonly #pool: ReplicaPool;
  readonly #key: KeyObject;
  readonly #marks = new Map<string, string>();
  readonly #keys = new Map<string, string>();

  constructor(pool: ReplicaPool, key: KeyObject) {
    this.#pool = pool;
    this.#key = key;
  }

  /** The mark of a replica by its key, whether it is still listed or not. */
  markOf(replicaKey: string): string {
    const known = this.#marks.get(replicaKey);
    if (known !== undefined) return known;
    const mark = createHmac('sha256', this.#key)
      .update(`${this.#pool.service}\n${replicaKey}`)
      .digest()
      .subarray(0, MARK_BYTES)
      .toString('base64url');
    this.#forgetGone();
    this.#marks.set(replicaKey, mark);
    this.#keys.set(mark, replicaKey);
    return mark;
  }

  /** The listed replica that has this mark; undefined: none has. */
  replicaWith(mark: string): Replica | undefined {
    if (mark.length !== MARK_CHARACTERS) return undefined;
    const known = this.#keys.get(mark);
    if (known !== undefined) return this.#pool.get(known);
    // One that no client was sent to by this gateway has none yet.
    return this.#pool.replicas.find(({ key }) => this.markOf(key) === mark);
  }

  /** Replicas come and go for as long as the gateway runs. */
  #forgetGone(): void {
    if (this.#marks.size < 2 * this.#pool.size + 2) return;
    for (const [key, mark] of this.#marks) {
      if (this.#pool.get(key)) continue;
      this.#marks.delete(key);
      this.#keys.delete(mark);
    }
  }
}
