import { describe, expect, it } from '@jest/globals';
import type { RouteMatch, RouteRule, Spelling } from '../../../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../../../lib/routing/routeTable.ts';

type Written = string | RouteMatch;

/** Rules by name: `exact`, unless their name ends in `!`. */
function table(written: Readonly<Record<string, Written>>): RouteTable<RouteRule> {
  return new RouteTable(
    Object.entries(written).map(([name, match]) => ({
      name,
      match: typeof match === 'string' ? { path: match } : match,
      spelling: (name.endsWith('!') ? 'any' : 'exact') as Spelling,
    })),
  );
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function winner(
  routes: RouteTable<RouteRule>,
  target: string,
  { method = 'GET', headers = {} }: Asked = {},
): string | undefined {
  const found = routes.find({ method, headers }, target);
  return found === AMBIGUOUS ? found : found?.rule.name;
}

describe('of the routes that a request matches', () => {
  it.each([
    ['/orders/new', 'literal'],
    ['/orders/12', 'one'],
    ['/orders/12/items', 'rest'],
    ['/orders', 'rest'],
    ['/orders/', 'rest'],
    ['/orders/new/', 'rest'],
    ['/orders/new?a=/orders/12', 'literal'],
    ['/Orders/new', 'all'],
    ['/orders/NEW', 'one'],
    ['/', 'all'],
  ])('%s goes to the most specific, segment by segment: %s', (target, expected) => {
    const routes = table({ all: '/**', rest: '/orders/**', one: '/orders/:id', literal: '/orders/new' });
    expect(winner(routes, target)).toBe(expected);
  });

  it('an earlier literal counts for more than a later one', () => {
    const routes = table({ early: '/a/*/*', late: '/*/b/c', rest: '/a/**' });
    expect(winner(routes, '/a/b/c')).toBe('early');
    expect(winner(routes, '/x/b/c')).toBe('late');
    expect(winner(routes, '/a/b/c/d')).toBe('rest');
  });

  it('a path that leads nowhere is left again', () => {
    const routes = table({ deep: '/a/b/c/d', one: '/a/*/c/e', rest: '/a/**' });
    expect(winner(routes, '/a/b/c/e')).toBe('one');
    expect(winner(routes, '/a/b/c/f')).toBe('rest');
  });

  it.each([
    ['api.faf.example', 'exact'],
    ['API.faf.example:8000', 'exact'],
    ['api.faf.example.', 'exact'],
    ['x.faf.example', 'below'],
    ['x.y.faf.example', 'below'],
    ['x.other.example', 'far'],
    ['faf.example', 'far'],
    ['example', 'any'],
    ['.example', 'any'],
    ['other.test', 'any'],
    ['[::1]:8000', 'any'],
    ['%61pi.faf.example', AMBIGUOUS],
  ])('the one for host %s is %s', (host, expected) => {
    const routes = table({
      any: '/**',
      far: { host: '*.example', path: '/**' },
      below: { host: '*.faf.example', path: '/**' },
      exact: { host: 'API.faf.example', path: '/**' },
    });
    expect(winner(routes, '/x', { headers: { host } })).toBe(expected);
  });

  it('one for any host counts where that of the host is for other paths', () => {
    const routes = table({ any: '/**', host: { host: 'a.test', path: '/x' } });
    expect(winner(routes, '/x', { headers: { host: 'a.test' } })).toBe('host');
    expect(winner(routes, '/y', { headers: { host: 'a.test' } })).toBe('any');
    expect(winner(routes, '/x')).toBe('any');
  });

  it('one that names the method comes first, then the one that asks for more fields, then the higher priority', () => {
    const routes = table({
      plain: '/x',
      post: { path: '/x', methods: ['POST'] },
      one: { path: '/x', headers: { 'x-version': '2' } },
      two: { path: '/x', headers: { 'x-version': '2', 'x-beta': 'yes' } },
      high: { path: '/x', headers: { 'x-version': '2' }, priority: 1 },
    });
    expect(winner(routes, '/x')).toBe('plain');
    expect(winner(routes, '/x', { method: 'POST', headers: { 'x-version': '2', 'x-beta': 'yes' } })).toBe(
      'post',
    );
    expect(winner(routes, '/x', { headers: { 'x-version': '2', 'x-beta': 'yes' } })).toBe('two');
    expect(winner(routes, '/x', { headers: { 'x-version': '2' } })).toBe('high');
    expect(winner(routes, '/x', { headers: { 'x-version': '2, 2' } })).toBe('plain');
  });
});

describe('a method', () => {
  const routes = table({
    read: { path: '/a/b', methods: ['GET'] },
    write: { path: '/a/*', methods: ['POST', 'PUT'] },
    beta: { path: '/a/*', methods: ['DELETE'], headers: { 'x-beta': 'yes' } },
  });

  it('is HEAD wherever it is GET', () => {
    expect(winner(routes, '/a/b', { method: 'HEAD' })).toBe('read');
  });

  it('that the most specific path is not for is taken to the next', () => {
    expect(winner(routes, '/a/b', { method: 'POST' })).toBe('write');
  });

  it('that no route names finds none', () => {
    expect(winner(routes, '/a/b?x', { method: 'PATCH' })).toBe(undefined);
  });
});

describe('two routes', () => {
  it.each<[string, Record<string, Written>]>([
    ['with one path', { a: '/x', b: '/x' }],
    ['whose parameters have other names', { a: '/x/:id', b: '/x/*' }],
    [
      'with one host in two spellings',
      { a: { host: 'A.test', path: '/x' }, b: { host: 'a.test', path: '/x' } },
    ],
    [
      'with a method in common',
      { a: { path: '/x', methods: ['GET'] }, b: { path: '/x', methods: ['PUT', 'GET'] } },
    ],
    [
      'one of which is for HEAD',
      { a: { path: '/x', methods: ['GET'] }, b: { path: '/x', methods: ['HEAD'] } },
    ],
    [
      'that ask for different fields',
      { a: { path: '/x', headers: { one: '1' } }, b: { path: '/x', headers: { two: '1' } } },
    ],
    ['one of which matches any spelling', { a: '/X', 'b!': '/x' }],
    ['one of which matches with a slash', { a: '/x/', 'b!': '/x' }],
    ['of any spelling that are one when they are folded', { 'a!': '/X%20', 'b!': '/x' }],
  ])('%s clash', (_, written) => {
    const [pair] = table(written).clashes;
    expect(pair?.map(({ name }) => name).sort()).toEqual(Object.keys(written).sort());
  });

  it.each<[string, Record<string, Written>]>([
    ['of other methods', { a: { path: '/x', methods: ['GET'] }, b: { path: '/x', methods: ['PUT'] } }],
    ['one of which names methods', { a: '/x', b: { path: '/x', methods: ['GET'] } }],
    ['of other priority', { a: '/x', b: { path: '/x', priority: 1 } }],
    ['of other letter case', { a: '/x', b: '/X' }],
    ['of other values', { a: { path: '/x', headers: { v: '1' } }, b: { path: '/x', headers: { v: '2' } } }],
    ['of other hosts', { a: { host: 'a.test', path: '/x' }, b: { host: '*.a.test', path: '/x' } }],
    ['of which one is less specific', { a: '/x/:id', 'b!': '/x/**' }],
  ])('%s stand side by side', (_, written) => {
    expect(table(written).clashes).toEqual([]);
  });
});

describe('spelling:', () => {
  const routes = table({
    service: '/shop/**',
    catalog: '/shop/catalog/*',
    login: '/shop/admin/login',
    'admin!': '/shop/Admin/**',
    'secret!': '/shop/*/secret',
  });

  it.each([
    '/shop/admin',
    '/shop/admin/',
    '/shop/ADMIN/x',
    '/shop/%61dmin/x',
    '/shop/%2561dmin/x',
    '/shop//admin/x',
    '/shop/admin;v=1/x',
    '/shop/;x/admin/x',
    '/shop/admin%3bv/x',
    '/shop%2fadmin%2fx',
    '/shop/admin%2fx',
    '/shop/admin%252Fx',
    '/shop/admin%3fx',
    '/shop/admin%20/x',
    '/shop/admin./x',
    '/shop/catalog/%252e%252e/admin/x',
    '/shop/catalog%252f..%252fadmin/x',
    '/shop/%C1%A1dmin/x',
    '/shop/%EF%BD%81dmin/x',
    '/shop/adm%C2%ADin/x',
    '/shop/admin/Login',
    '/shop/admin//login',
    '/shop/admin/login/',
  ])('%s is kept by what protects /shop/Admin/**', (target) => {
    expect(winner(routes, target)).toBe('admin!');
  });

  it.each([
    ['/shop/admin/login', 'login'],
    ['/shop/admin/login?x=//', 'login'],
    ['/shop/catalog/tea', 'catalog'],
    ['/shop/catalog/caf%C3%A9', 'catalog'],
    ['/shop/catalog/Tea', 'catalog'],
    ['/shop/Catalog/tea', 'service'],
    ['/shop/%63atalog/tea', 'service'],
    ['/shop//catalog/tea', 'service'],
    ['/shop/catalog/tea/', 'service'],
    ['/shop/orders/a%2Fb', 'service'],
    ['/shop/x/Secret', 'secret!'],
    ['/shop//secret', 'secret!'],
    ['/shop/a%2fb/secret', 'secret!'],
    ['/shop/catalog/secret', 'catalog'],
    ['/Shop/catalog/tea', undefined],
  ])('%s goes to %s', (target, expected) => {
    expect(winner(routes, target)).toBe(expected);
  });

  it('a public path with a slash at the end is public where all else is protected', () => {
    const open = table({ 'all!': '/**', docs: '/docs/' });
    expect(winner(open, '/docs/')).toBe('docs');
    expect(winner(open, '/docs')).toBe('all!');
    expect(winner(open, '/docs//')).toBe('all!');
    expect(winner(open, '/DOCS/')).toBe('all!');
  });

  it('dots that are encoded twice may be a name, and those beside them nothing', () => {
    const inner = table({ service: '/shop/**', 'own!': '/shop/orders/*/own' });
    expect(winner(inner, '/shop/orders/.%20/%252e%252e/own')).toBe('own!');
    expect(winner(inner, '/shop/orders/%2e/%252e%252e/own')).toBe('own!');
  });

  it('what two protected routes claim in two readings is refused', () => {
    const both = table({ 'one!': '/x/*/secret', 'other!': '/x/a/b/**' });
    expect(winner(both, '/x/a%2fb/secret')).toBe(AMBIGUOUS);
    expect(winner(both, '/x/a/secret')).toBe('one!');
    expect(winner(both, '/x/a/b/secret')).toBe('other!');
  });

  it('a method that is overridden is protected as both', () => {
    const methods = table({
      open: '/x',
      'remove!': { path: '/x', methods: ['DELETE'] },
      'change!': { path: '/x', methods: ['PATCH'] },
    });
    expect(winner(methods, '/x', { method: 'POST' })).toBe('open');
    expect(winner(methods, '/x', { method: 'POST', headers: { 'x-http-method-override': 'delete' } })).toBe(
      'remove!',
    );
    expect(winner(methods, '/x?a=1&_method=DELETE', { method: 'POST' })).toBe('remove!');
    expect(winner(methods, '/x?_method=PATCH', { method: 'DELETE' })).toBe(AMBIGUOUS);
    expect(winner(methods, '/x?_method=GET', { method: 'POST' })).toBe('open');
  });
});
