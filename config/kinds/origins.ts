import { z } from 'zod';
import { isPublicName } from '../../lib/crosssite/publicName.ts';

const ACCEPTED =
  'an origin such as https://app.faf.example, https://*.faf.example for all names below it, or "*" for all origins';
const NOT_NULL =
  'the origin of a page. null stands for every sandboxed frame and local file, also those of an attacker: serve the page from an origin of its own';

/** What pages may come from: an origin as browsers write it, one with `*.` in front of its host, or `*`. */
export const pageOrigin = z
  .string({ error: ({ input }) => (input === null ? NOT_NULL : ACCEPTED) })
  .transform((text, context) => {
    const origin = parse(text);
    if (origin !== undefined) return origin;
    context.addIssue({ code: 'custom', message: explain(text) });
    return z.NEVER;
  });

interface Parts {
  readonly scheme: string;
  readonly open: string;
  readonly place: string;
}

function parse(text: string): string | undefined {
  if (text === '*') return text;
  const parts = partsOf(text);
  if (parts === undefined) return undefined;
  const { scheme, open, place } = parts;
  const host = scheme === 'http' || scheme === 'https' ? hostOf(scheme, place) : otherHostOf(place);
  if (host === undefined || (open !== '' && !mayBeOpen(host))) return undefined;
  return `${scheme}://${open}${host}`;
}

function partsOf(text: string): Parts | undefined {
  const [, scheme, open = '', place] =
    /^([a-z][a-z0-9+.-]*):\/\/(\*\.)?([^\s/\\?#@*]+)\/?$/i.exec(text) ?? [];
  // Pages in files have the origin null.
  if (scheme === undefined || place === undefined || /^file$/i.test(scheme)) return undefined;
  return { scheme: scheme.toLowerCase(), open, place };
}

/** Host and port as browsers write them: in lower case, in ASCII, without the scheme's own port. */
function hostOf(scheme: string, place: string): string | undefined {
  return URL.parse(`${scheme}://${place}`)?.host;
}

/** Applications with a browser inside have schemes of their own: `capacitor://localhost`. */
function otherHostOf(place: string): string | undefined {
  return /^[a-z0-9._-]+(?::\d{1,5})?$/i.test(place) ? place.toLowerCase() : undefined;
}

/** Names below a top-level domain belong to everybody, and addresses have none below them. */
function mayBeOpen(host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  if (name.startsWith('[') || /^[\d.]+$/.test(name)) return false;
  return name.includes('.') || !isPublicName(`any.${name}`);
}

function explain(text: string): string {
  if (/^null$/i.test(text)) return NOT_NULL;
  const { open, place = '' } = partsOf(text) ?? {};
  if (open && !mayBeOpen(place))
    return 'a name below which all names are yours, such as https://*.faf.example';
  return ACCEPTED;
}
