import { isNamed } from '../../http1/grammar.ts';

/** How the paths of a service lie among those of the gateway. */
export interface PathMapping {
  /** What clients have before the service's path, and was cut: `/budgeting`, or ''. */
  readonly prefix: string;
  /** What the service has before it: `/shop`, or ''. */
  readonly basePath: string;
  /** Where the service is: `http://budgeting-service:8087`. */
  readonly origin: string;
}

const PATH_ATTRIBUTE = /(;\s*path\s*=\s*)([^;]*)/i;

/** A cookie of this name is for the whole host (RFC 6265bis section 4.1.3.2): another path would make browsers drop it. */
const FOR_WHOLE_HOST = '__host-';

/**
 * Puts the paths of clients in place of the service's own in `Location`, `Content-Location` and the `Path` of cookies. What
 * names another host, is relative, or lies outside of the service's base path stays as it is. Changes `fields`.
 */
export function toPublicPaths(fields: string[], mapping: PathMapping): void {
  if (mapping.prefix === mapping.basePath) return;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (isNamed(name, 'location') || isNamed(name, 'content-location'))
      fields[i + 1] = publicReference(value, mapping);
    else if (isNamed(name, 'set-cookie')) fields[i + 1] = publicCookie(value, mapping);
  }
}

function publicReference(reference: string, mapping: PathMapping): string {
  const { origin } = mapping;
  const isOwn =
    reference.slice(0, origin.length).toLowerCase() === origin &&
    /^(?:[/?#]|$)/.test(reference.slice(origin.length));
  if (isOwn) return publicPath(reference.slice(origin.length) || '/', mapping) ?? reference;
  // Two slashes lead to another host.
  if (!reference.startsWith('/') || reference.startsWith('//')) return reference;
  return publicPath(reference, mapping) ?? reference;
}

function publicCookie(cookie: string, mapping: PathMapping): string {
  if (cookie.trimStart().slice(0, FOR_WHOLE_HOST.length).toLowerCase() === FOR_WHOLE_HOST) return cookie;
  return cookie.replace(PATH_ATTRIBUTE, (all, start: string, path: string) => {
    const mapped = publicPath(path.trim(), mapping);
    return mapped === undefined ? all : start + mapped;
  });
}

/** Undefined for what lies elsewhere. */
function publicPath(path: string, { prefix, basePath }: PathMapping): string | undefined {
  if (!path.startsWith(`${basePath}/`) && path !== basePath) return undefined;
  return prefix + path.slice(basePath.length) || '/';
}
