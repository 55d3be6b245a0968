import { pathOf } from '../../http/path.ts';
import { LastShortened, shortened } from '../../util/shortened.ts';

/** For whom a stored response is. It is part of every key, so nobody else can find the response. */
export type Audience =
  /** Everybody: only for a response that allows that itself. */
  | { readonly kind: 'everyone' }
  /** Requests without credentials. */
  | { readonly kind: 'anonymous' }
  /** Requests with a verified token of this identity. */
  | { readonly kind: 'identity'; readonly key: string };

export const EVERYONE: Audience = { kind: 'everyone' };
export const ANONYMOUS: Audience = { kind: 'anonymous' };

/** What a request asks for (RFC 9111 section 2). */
export interface Resource {
  /** Path prefix of the service. */
  readonly service: string;
  /** By which scheme and names the client called, as the service may read them and build links from them. */
  readonly authority: string;
  /** Path and query as the service gets them, byte for byte, behind the path prefix that it removes. */
  readonly target: string;
  /** The route by which the client came, since another one may be answered otherwise. Default: the service has none. */
  readonly route?: string;
}

export interface EntryKeyParts {
  readonly resource: Resource;
  readonly audience: Audience;
  /** Changes when what is stored under the path is invalidated: no earlier key finds anything then. */
  readonly epoch: string;
  /** `selectingKey` of what `Vary` lists; '' for a response that does not vary. */
  readonly variant: string;
}

/**
 * A JSON array, so that no value can pass for the end of one part and the beginning of the next. No part is longer than
 * 256 characters: a longer one is named by its digest. Service and path come first, as in `epochKey`: a store that is spread
 * over several servers keeps what begins alike in one place.
 */
export function entryKey({ resource, audience, epoch, variant }: EntryKeyParts): string {
  return new Keys(resource).variant(audience, epoch, variant);
}

/** Makes keys. It remembers the latest service, host and epoch, which are mostly those of the next request too. */
export class Speller {
  readonly service = new LastShortened();
  readonly authority = new LastShortened();
  readonly epoch = new LastShortened();
  readonly route = new LastShortened();

  keysOf(resource: Resource): Keys {
    return new Keys(resource, this);
  }
}

/** The keys of one request's resource: for the lookup, the fetch and the store. Each is made once. */
export class Keys {
  readonly #resource: Resource;
  readonly #speller: Speller;
  #place: Place | undefined;
  #epoch: string | undefined;
  readonly #spelt: { readonly audience: Audience; readonly epoch: string; readonly key: string }[] = [];

  constructor(resource: Resource, speller = new Speller()) {
    this.#resource = resource;
    this.#speller = speller;
  }

  /** `epochKey` of its path. */
  get epoch(): string {
    this.#epoch ??= epochKeyAt(this.#placed().path);
    return this.#epoch;
  }

  /** The key of a response that does not vary. */
  plain(audience: Audience, epoch: string): string {
    for (const spelt of this.#spelt) {
      if (spelt.audience === audience && spelt.epoch === epoch) return spelt.key;
    }
    const key = this.#entry(audience, epoch, '');
    this.#spelt.push({ audience, epoch, key });
    return key;
  }

  /** The key of a variant: `selectingKey`, '' for a response that does not vary. */
  variant(audience: Audience, epoch: string, variant: string): string {
    return variant === '' ? this.plain(audience, epoch) : this.#entry(audience, epoch, variant);
  }

  #entry(audience: Audience, epoch: string, variant: string): string {
    const { path, rest } = this.#placed();
    const word = this.#speller.epoch.of(epoch);
    return `cache:entry:[${path},"${audienceText(audience)}","${word}","${variant}",${rest}]`;
  }

  #placed(): Place {
    this.#place ??= placeOf(this.#resource, this.#speller);
    return this.#place;
  }
}

/** It names neither query, gateway nor route: all that is stored under a path of the service is invalidated together. */
export function epochKey(service: string, path: string): string {
  return epochKeyAt(`"${shortened(service)}","${shortened(path)}"`);
}

/** What all keys of a resource have in common. */
interface Place {
  /** Service and path. */
  readonly path: string;
  /** Names of the gateway, the query with its question mark ('' when there is none), and the route where there is one. */
  readonly rest: string;
}

function placeOf({ service, authority, target, route = '' }: Resource, speller: Speller): Place {
  const path = pathOf(target);
  const query = path.length === target.length ? '' : target.slice(path.length);
  return {
    path: `"${speller.service.of(service)}","${shortened(path)}"`,
    rest: `"${speller.authority.of(authority)}","${shortened(query)}"${route && `,"${speller.route.of(route)}"`}`,
  };
}

function epochKeyAt(path: string): string {
  return `cache:epoch:[${path}]`;
}

/** The audience of one identity, whose key may be of any length. */
export function audienceOf(identityKey: string): Audience {
  return { kind: 'identity', key: shortened(identityKey) };
}

/** A different one for each audience. */
export function audienceText(audience: Audience): string {
  return audience.kind === 'identity' ? `identity ${audience.key}` : audience.kind;
}
