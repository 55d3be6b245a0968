import { describe, expect, it } from '@jest/globals';
import { allowsOrigin } from '../../../lib/cors/origins.ts';

const allows = allowsOrigin([
  'https://app.faf.example',
  'https://*.faf.example',
  'http://*.dev.example:8443',
  'capacitor://localhost',
]);

describe('allowsOrigin', () => {
  it.each([
    'https://app.faf.example',
    'https://a.faf.example',
    'https://az09.faf.example',
    'https://a.b-c.d_e.faf.example',
    'https://xn--bcher-kva.faf.example',
    'http://x.dev.example:8443',
    'capacitor://localhost',
  ])('allows %s', (origin) => {
    expect(allows(origin)).toBe(true);
  });

  it.each([
    'http://app.faf.example',
    'https://app.faf.example:8443',
    'https://app.faf.example:443',
    'https://APP.faf.example',
    'https://app.faf.example/',
    'https://faf.example',
    'https://.faf.example',
    'https://a..faf.example',
    'https://evilfaf.example',
    'https://evil.example#.faf.example',
    'https://evil.example?.faf.example',
    'https://evil.example/.faf.example',
    'https://evil.example\\.faf.example',
    'https://evil.example@.faf.example',
    'https://evil.example:8443.faf.example',
    'https://evil.example%2f.faf.example',
    'https://evil.example .faf.example',
    'https://evil.example, https://a.faf.example',
    'https://é.faf.example',
    'https://{.faf.example',
    'https://`.faf.example',
    'https://a.faf.example.evil.example',
    'https://a.faf.example:8443',
    'https://*.faf.example',
    'http://x.dev.example',
    'http://x.dev.example:84430',
    'http://x.dev.example:8443.evil.example',
    'null',
    '',
    '*',
  ])('does not allow %j', (origin) => {
    expect(allows(origin)).toBe(false);
  });

  it('allows every origin where * is among them', () => {
    expect(allowsOrigin(['https://app.faf.example', '*'])('https://evil.example')).toBe(true);
  });
});
