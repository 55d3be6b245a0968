import { fieldValue } from '../../lib/http/fields.ts';
import { type Caller, letsIn, ServiceModel, type Wanted } from '../support/readings/model.ts';
import { READERS } from '../support/readings/readers.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

/** What the routes of the guarded service ask for; `words` are scopes. */
export const GUARDED: readonly Wanted[] = [
  { match: { path: '/catalog/**' }, asks: 'none' },
  { match: { path: '/catalog/drafts/**' }, asks: [] },
  { match: { path: '/greeting' }, asks: 'optional' },
  { match: { path: '/admin/**' }, asks: ['admin'] },
  { match: { path: '/files/:owner/**' }, asks: ['admin', 'files'] },
  { match: { path: '/files/shared/**' }, asks: ['files'] },
  { match: { path: '/reports', methods: ['POST'] }, asks: ['admin'] },
  { match: { path: '/hosted/**', host: '*.a.test' }, asks: ['files'] },
  { match: { path: '/**' }, asks: [] },
];

const MODELS = READERS.map((reader) => new ServiceModel(reader, GUARDED));

/** A service that finds whatever reaches it without what its own reading of the path asks for, framework by framework. */
export async function startGuardedOrigin(find: (what: string) => void): Promise<Upstream> {
  return startUpstream((req, res) => {
    const { method = '', url = '', headers, rawHeaders } = req;
    const caller = callerOf(fieldValue(rawHeaders, 'x-auth-claims'));
    for (const model of MODELS) {
      const asks = model.asksFor(method, hostOf(headers.host), url);
      if (asks !== undefined && !letsIn(asks, caller))
        find(
          `${method} ${url} at ${headers.host} by ${caller ?? 'nobody'} is ${asks} to ${model.reader.name}`,
        );
    }
    res.end('ok');
  });
}

function callerOf(claims: string | undefined): Caller {
  if (claims === undefined) return undefined;
  const { scope = '' } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
  return String(scope).split(' ').filter(Boolean);
}

function hostOf(host = ''): string {
  return host.toLowerCase();
}
