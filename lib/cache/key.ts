/** Who a stored answer is for. No key can be made without it, so no answer can be found by anybody else. */
export type Audience =
  /** Everybody: only for an answer that says so itself. */
  | { readonly kind: 'everyone' }
  /** Those who showed no credentials. */
  | { readonly kind: 'anonymous' }
  /** Whoever bears a verified token of this identity (`Identity.key`). */
  | { readonly kind: 'identity'; readonly key: string };

/** Characters of ASCII that JSON does not escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

export const EVERYONE: Audience = { kind: 'everyone' };
export const ANONYMOUS: Audience = { kind: 'anonymous' };

/** What a request asks for (RFC 9111 section 2). */
export interface Resource {
  /** Path prefix of the service. */
  readonly service: string;
  /** By which name the client called: services build links from it, which strangers must not be given. */
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

/** JSON, so that no value can pass for the end of one part and the beginning of the next. */
export function entryKey({ resource, audience, epoch, variant }: EntryKeyParts): string {
  const { service, target } = resource;
  const authority = audience.kind === 'identity' ? '' : resource.authority;
  const who = audienceText(audience);
  if (isPlain(service + who + epoch + variant + authority + target)) {
    return `cache:entry:["${service}","${who}","${epoch}","${variant}","${authority}","${target}"]`;
  }
  return `cache:entry:${JSON.stringify([service, who, epoch, variant, authority, target])}`;
}

/** The keys of one request's resource, spelt once: it looks there, is waited for under them, and stores there. */
export class Keys {
  readonly #resource: Resource;
  readonly #spelt: { readonly audience: Audience; readonly epoch: string; readonly key: string }[] = [];

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** The key of an answer that does not vary. */
  plain(audience: Audience, epoch: string): string {
    for (const spelt of this.#spelt) {
      if (spelt.audience === audience && spelt.epoch === epoch) return spelt.key;
    }
    const key = entryKey({ resource: this.#resource, audience, epoch, variant: '' });
    this.#spelt.push({ audience, epoch, key });
    return key;
  }
}

/** Without the query and the client's name for the gateway: all that is stored under a path leaves together. */
export function epochKey(service: string, path: string): string {
  if (isPlain(service + path)) return `cache:epoch:["${service}","${path}"]`;
  return `cache:epoch:${JSON.stringify([service, path])}`;
}

/** Whether JSON writes it as it is, between quotes: done so by hand it takes a quarter of the time. */
function isPlain(text: string): boolean {
  return PLAIN.test(text);
}

/** A different one for each audience. */
export function audienceText(audience: Audience): string {
  return audience.kind === 'identity' ? `identity ${audience.key}` : audience.kind;
}
