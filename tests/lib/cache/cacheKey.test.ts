import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDirectives } from '../../../lib/cache/rules/directives.ts';
import type { RequestTerms } from '../../../lib/cache/rules/requestTerms.ts';
import { reuse } from '../../../lib/cache/rules/reuse.ts';
import { selectingKey } from '../../../lib/cache/rules/vary.ts';
import { decodeStored, encodeEntry } from '../../../lib/cache/stored/entry.ts';
import {
  ANONYMOUS,
  type Audience,
  audienceOf,
  EVERYONE,
  entryKey,
  epochKey,
  Speller,
} from '../../../lib/cache/stored/key.ts';
import { pathOf } from '../../../lib/http/path.ts';
import { shortened } from '../../../lib/util/shortened.ts';
import { cases } from '../../support/cases.ts';

const odd = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', 'everyone', 'subject', '"', '\\', ',', '\ud800'),
);
const audience: fc.Arbitrary<Audience> = fc.oneof(
  fc.constant(EVERYONE),
  fc.constant(ANONYMOUS),
  odd.map(audienceOf),
);
const parts = fc.record({
  resource: fc.record({ service: odd, authority: odd, target: odd, route: odd }),
  audience,
  epoch: odd,
  variant: fc.constantFrom('', 'one', 'two'),
});

describe('the key of a stored response', () => {
  it('is another one for anybody else, whatever anybody is called', () => {
    fc.assert(
      fc.property(parts, audience, (of, other) => {
        const isSame = JSON.stringify(of.audience) === JSON.stringify(other);
        expect(entryKey(of) === entryKey({ ...of, audience: other })).toBe(isSame);
      }),
      cases(),
    );
  });

  it('is JSON, whatever is in it', () => {
    fc.assert(
      fc.property(parts, (of) => {
        const key = entryKey(of).replace(/^cache:entry:/, '');
        expect(JSON.stringify(JSON.parse(key))).toBe(key);
        const { service, target, route } = of.resource;
        expect(JSON.parse(key)).toHaveLength(route === '' ? 7 : 8);
        expect(JSON.parse(epochKey(service, target).replace(/^cache:epoch:/, ''))).toHaveLength(2);
      }),
      cases(),
    );
  });

  it('is another one for anything else', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(entryKey(a) === entryKey(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
      cases(),
    );
  });

  it('is the same whichever requests came before', () => {
    fc.assert(
      fc.property(fc.array(parts, { minLength: 2 }), (all) => {
        const speller = new Speller();
        for (const { resource, audience: of, epoch, variant } of all) {
          const keys = speller.keysOf(resource);
          const key = entryKey({ resource, audience: of, epoch, variant });
          expect([keys.variant(of, epoch, variant), keys.variant(of, epoch, variant)]).toEqual([key, key]);
          expect(keys.epoch).toBe(epochKey(resource.service, pathOf(resource.target)));
        }
      }),
      cases(),
    );
  });

  it('is short and of ASCII, however long the target, the host and the identity are', () => {
    const long = `/${'\u00fc'.repeat(8_000)}`;
    const resource = { service: '/budgeting', authority: long, target: long };
    const key = entryKey({ resource, audience: audienceOf(long), epoch: 'epoch', variant: '' });
    expect(key).toMatch(/^[ -~]{100,250}$/);
    expect(epochKey('/budgeting', long)).toMatch(/^[ -~]{50,100}$/);
  });

  it('never takes a digest for what is spelt like one', () => {
    const long = `/${'x'.repeat(300)}`;
    expect(shortened(shortened(long))).not.toBe(shortened(long));
    expect(shortened('/plain?a=b')).toBe('/plain?a=b');
  });
});

const selectedBy = (names: readonly string[], ...rawHeaders: string[]) =>
  selectingKey(names, { rawHeaders, identity: undefined });

it('what a request says under Vary gives nothing of it away, and is never the same for other words', () => {
  const lines = fc.array(
    fc.tuple(fc.constantFrom('Accept', 'COOKIE', 'cookie', 'User-Agent', 'User_Agent'), odd),
  );
  const names = ['accept', 'cookie', 'user-agent'];
  const told = (of: readonly (readonly [string, string])[]) =>
    JSON.stringify(
      names.map((name) =>
        of.flatMap(([line, value]) => {
          const lower = line.toLowerCase();
          if (lower.replace('_', '-') !== name) return [];
          const plain = name === 'accept' && value.includes(',') && !value.includes('"');
          const said = plain ? value.replace(/[ \t]*,[ \t]*/g, ',').replace(/^[ \t]+|[ \t]+$/g, '') : value;
          return [lower === name ? said : [lower, said]];
        }),
      ),
    );
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      const key = selectedBy(names, ...a.flat());
      expect(key).toMatch(/^[\w-]{43}$/);
      expect(key === selectedBy(names, ...b.flat())).toBe(told(a) === told(b));
    }),
    cases(),
  );
});

it.each([
  { says: 'each of two lines', a: ['User-Agent', 'x', 'User-Agent', 'y'], b: ['User-Agent', 'x'] },
  { says: 'their order', a: ['Cookie', 'x', 'Cookie', 'y'], b: ['Cookie', 'y', 'Cookie', 'x'] },
  { says: 'where a line ends', a: ['Accept', 'x', 'Accept', 'y'], b: ['Accept', 'x,y'] },
  { says: 'another spelling of the name', a: ['User_Agent', 'x'], b: [] },
  { says: 'a line without a value', a: ['Accept', ''], b: [] },
  { says: 'a space within quotes', a: ['Accept', 'a;b="c ,d"'], b: ['Accept', 'a;b="c,d"'] },
  { says: 'a no-break space', a: ['Accept', 'a,\u00a0b'], b: ['Accept', 'a,b'] },
])('under Vary counts $says', ({ a, b }) => {
  const names = ['accept', 'cookie', 'user-agent'];
  expect(selectedBy(names, ...a)).not.toBe(selectedBy(names, ...b));
});

it('the short way to a fresh response says what the library says', () => {
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
    cases(),
  );
});

describe('a stored response', () => {
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
      cases(),
    );
  });

  it.each(Object.keys(entry))('without its %s is refused', (name) => {
    const { [name as keyof typeof entry]: _, ...rest } = entry;
    expect(() => decodeStored(Buffer.from(`${JSON.stringify(rest)}\n`))).toThrow(
      'what is stored is no response',
    );
  });

  it.each(['', '{}', 'hello\nworld', 'null\n', '[]\n', '{"vary":[1]}\n'])('of %j is refused', (stored) => {
    expect(() => decodeStored(Buffer.from(stored))).toThrow();
  });
});
