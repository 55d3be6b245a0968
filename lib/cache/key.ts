import { pathOf } from '../exchange/path.ts';
import { shortened } from '../exchange/shortened.ts';

/** Who a stored answer is for. No key can be made without it, so no answer can be found by anybody else. */
export type Audience =
  /** Everybody: only for an answer that says so itself. */
  | { readonly kind: 'everyone' }
  /** Those who showed no credentials. */
  | { readonly kind: 'anonymous' }
  /** Whoever bears a verified token of this identity: `audienceOf` its key. */
  | { readonly kind: 'identity'; readonly key: string };

export const EVERYONE: Audience = { kind: 'everyone' };
export const ANONYMOUS: Audience = { kind: 'anonymous' };

/** What a request asks for (RFC 9111 section 2). */
export interface Resource {
  /** Path prefix of the service. */
  readonly service: string;
  /** By which scheme and names the client called, as the service may read them and build links from them. */
  readonly authority: string;
  /** Path and query, byte for byte. */
  readonly target: string;
}

export interface EntryKeyParts {
  readonly resource: Resource;
  readonly audience: Audience;
  /** Changes when what is stored under the path is invalidated: no key of before leads anywhere then. */
  readonly epoch: string;
  /** `selectingKey` of what `Vary` lists; '' for an answer that does not vary. */
  readonly variant: string;
}

/**
 * A JSON array, so that no value can pass for the end of one part and the beginning of the next. No part is longer than
 * 256 characters: a longer one is named by its digest. Service and path come first, as in `epochKey`: a store that is spread
 * over several servers keeps what begins alike in one place.
 */
export function entryKey({ resource, audience, epoch, variant }: EntryKeyParts): string {
  return entryKeyAt(placeOf(resource), audience, epoch, variant);
}

/** The keys of one request's resource, spelt once: it looks there, is waited for under them, and stores there. */
export class Keys {
  readonly #resource: Resource;
  #place: Place | undefined;
  readonly #spelt: { readonly audience: Audience; readonly epoch: string; readonly key: string }[] = [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** The key of a response that does not vary. */
  plain(audience: Audience, epoch: string): string {
    for (const spelt of this.#spelt) {
      if (spelt.audience === audience && spelt.epoch === epoch) return spelt.key;
    }
    const key = this.variant(audience, epoch, '');
    this.#spelt.push({ audience, epoch, key });
    return key;
  }

  /** The key of a variant. */
  variant(audience: Audience, epoch: string, variant: string): string {
    this.#place ??= placeOf(this.#resource);
    return entryKeyAt(this.#place, audience, epoch, variant);
  }
}

/** Without the query and the client's name for the gateway: all that is stored under a path leaves together. */
export function epochKey(service: string, path: string): string {
  return `cache:epoch:["${shortened(service)}","${shortened(path)}"]`;
}

/** What all keys of a resource have in common. */
interface Place {
  readonly service: string;
  readonly path: string;
  readonly authority: string;
  /** With its question mark; '' when there is none. */
  readonly query: string;
}

function placeOf({ service, authority, target }: Resource): Place {
  const path = pathOf(target);
  const query = path.length === target.length ? '' : target.slice(path.length);
  return {
    service: shortened(service),
    path: shortened(path),
    authority: shortened(authority),
    query: shortened(query),
  };
}

function entryKeyAt(
  { service, path, authority, query }: Place,
  audience: Audience,
  epoch: string,
  variant: string,
): string {
  return `cache:entry:["${service}","${path}","${audienceText(audience)}","${shortened(epoch)}","${variant}","${authority}","${query}"]`;
}

/** The audience of one identity, whose key may be of any length. */
export function audienceOf(identityKey: string): Audience {
  return { kind: 'identity', key: shortened(identityKey) };
}

/** A different one for each audience. */
export function audienceText(audience: Audience): string {
  return audience.kind === 'identity' ? `identity ${audience.key}` : audience.kind;
}
