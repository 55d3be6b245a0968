import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDirectives } from '../lib/cache/directives.ts';
import { decodeStored, encodeEntry } from '../lib/cache/entry.ts';
import { ANONYMOUS, type Audience, EVERYONE, entryKey, epochKey } from '../lib/cache/key.ts';
import type { RequestTerms } from '../lib/cache/requestTerms.ts';
import { reuse } from '../lib/cache/reuse.ts';
import { selectingKey } from '../lib/cache/vary.ts';

const odd = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', 'everyone', 'subject', '"', '\\', ',', '\ud800'),
);
const audience: fc.Arbitrary<Audience> = fc.oneof(
  fc.constant(EVERYONE),
  fc.constant(ANONYMOUS),
  odd.map((key): Audience => ({ kind: 'identity', key })),
);
const parts = fc.record({
  resource: fc.record({ service: odd, authority: odd, target: odd }),
  audience,
  epoch: odd,
  variant: odd,
});

describe('the key of a stored answer', () => {
  it('is another one for anybody else, whatever anybody is called', () => {
    fc.assert(
      fc.property(parts, audience, (of, other) => {
        const isSame = JSON.stringify(of.audience) === JSON.stringify(other);
        expect(entryKey(of) === entryKey({ ...of, audience: other })).toBe(isSame);
      }),
    );
  });

  it('is JSON, whatever is in it', () => {
    fc.assert(
      fc.property(parts, (of) => {
        const authority = of.audience.kind === 'identity' ? '' : of.resource.authority;
        const who = of.audience.kind === 'identity' ? `identity ${of.audience.key}` : of.audience.kind;
        const { service, target } = of.resource;
        const said = JSON.stringify([service, who, of.epoch, of.variant, authority, target]);
        expect(entryKey(of)).toBe(`cache:entry:${said}`);
        expect(epochKey(service, target)).toBe(`cache:epoch:${JSON.stringify([service, target])}`);
      }),
    );
  });

  it('is another one for anything else', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        // To one who is known it does not matter by which name the gateway was called.
        const told = ({ resource, ...rest }: typeof a) => {
          const authority = rest.audience.kind === 'identity' ? '' : resource.authority;
          return JSON.stringify([rest, resource.service, authority, resource.target]);
        };
        expect(entryKey(a) === entryKey(b)).toBe(told(a) === told(b));
      }),
    );
  });
});

it('what a request says under Vary gives nothing of it away, and is never the same for other words', () => {
  const headers = fc.record({ accept: odd, cookie: odd });
  fc.assert(
    fc.property(headers, headers, (a, b) => {
      const key = (of: typeof a) => selectingKey(['accept', 'cookie'], { headers: of, identity: undefined });
      const spaced = ({ accept, cookie }: typeof a) =>
        JSON.stringify([accept, cookie].map((value) => value.replace(/\s*,\s*/g, ',').trim()));
      expect(key(a)).toMatch(/^[\w-]{43}$/);
      expect(key(a) === key(b)).toBe(spaced(a) === spaced(b));
    }),
  );
});

it('the short way to a fresh answer says what the library says', () => {
  const seconds = fc.integer({ min: 0, max: 100 });
  const asked = (control: string): RequestTerms => {
    const directives = parseDirectives(control);
    return { directives, noCache: false, onlyIfCached: false, isPicky: directives.size > 0 };
  };
  fc.assert(
    fc.property(seconds, seconds, (lifetime, age) => {
      const terms = {
        lifetimeMs: lifetime * 1000,
        isShared: false,
        mayBeStale: true,
        staleWhileRevalidateMs: 0,
        staleIfErrorMs: 0,
      };
      // This asks for nothing, but the library is asked.
      expect(reuse(terms, age * 1000, asked('min-fresh=0'))).toBe(reuse(terms, age * 1000, asked('')));
    }),
  );
});

describe('a stored answer', () => {
  const entry = {
    status: 200,
    fields: ['Content-Type', 'text/plain', 'X-Latin', '\u00e9\u00ff'],
    terms: { lifetimeMs: 1, isShared: false, mayBeStale: true, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 },
    generatedAtMs: 1,
    purgeVersion: 0,
    audience: 'identity ann',
  };

  it('comes back as it was, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const whole = { ...entry, body: Buffer.from(bytes) };
        expect(decodeStored(encodeEntry(whole))).toEqual(whole);
      }),
    );
  });

  it.each(Object.keys(entry))('without its %s is refused', (name) => {
    const { [name as keyof typeof entry]: _, ...rest } = entry;
    expect(() => decodeStored(Buffer.from(`${JSON.stringify(rest)}\n`))).toThrow(
      'what is stored is no answer',
    );
  });

  it.each(['', '{}', 'hello\nworld', 'null\n', '[]\n', '{"vary":[1]}\n'])('of %j is refused', (stored) => {
    expect(() => decodeStored(Buffer.from(stored))).toThrow();
  });
});
