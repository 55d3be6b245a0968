// How servers and frameworks read the path of a request target before they look for a route. Each is written after what its
// documentation or source says, and leans to the lenient side where settings differ.

/** A path as a framework compares it with its routes. */
export interface Reader {
  readonly name: string;
  /** Whether `/Admin` is `/admin`. */
  readonly foldsCase: boolean;
  /** The path as it is read; undefined: refused. */
  readonly read: (path: string) => string | undefined;
}

/** Percent-encoding taken back once, but for encoded slashes where `keeps` says so; broken encodings stay. */
function decode(path: string, keeps = /$^/): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    const parts = encoded.match(/%[0-9a-f]{2}/gi) ?? [];
    const groups: string[] = [];
    for (const part of parts) {
      if (keeps.test(part)) groups.push(part, '');
      else groups[groups.length > 0 ? groups.length - 1 : 0] = (groups.at(-1) ?? '') + part;
    }
    return groups.map((group) => (keeps.test(group) ? group : decodedOrNot(group))).join('');
  });
}

function decodedOrNot(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** RFC 3986 section 5.2.4. */
function withoutDots(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') {
      if (kept.length > 1) kept.pop();
    } else if (segment !== '.') kept.push(segment);
  }
  return kept.join('/') || '/';
}

const merged = (path: string) => path.replace(/\/{2,}/g, '/');
const withoutEnd = (path: string) => (path.length > 1 ? path.replace(/\/+$/, '') || '/' : path);
const withoutParameters = (path: string) => path.replace(/;[^/]*/g, '');

export const READERS: readonly Reader[] = [
  {
    // Kestrel decodes all but %2F, follows dot segments, and routing ignores case and a slash at the end.
    name: 'ASP.NET Core',
    foldsCase: true,
    read: (path) => withoutEnd(withoutDots(decode(path, /^%2f$/i))),
  },
  {
    // Behind IIS in process, %2F and \ are slashes as well, and dots at the end of a segment are cut.
    name: 'ASP.NET on IIS',
    foldsCase: true,
    read: (path) =>
      withoutEnd(merged(withoutDots(decode(path).replaceAll('\\', '/')).replace(/[. ]+(?=\/|$)/g, ''))),
  },
  {
    // Tomcat and Spring with StrictHttpFirewall off: parameters cut, decoded, dots followed, slashes merged and dropped.
    name: 'Spring, lenient',
    foldsCase: false,
    read: (path) => withoutEnd(merged(withoutDots(decode(withoutParameters(path))))),
  },
  {
    // The same with parameters that only show after decoding.
    name: 'Spring, decoding first',
    foldsCase: false,
    read: (path) => withoutEnd(merged(withoutDots(withoutParameters(decode(path))))),
  },
  {
    // Express compares the encoded path, ignoring case and a slash at the end; parameters are decoded after that.
    name: 'Express',
    foldsCase: true,
    read: (path) => withoutEnd(path),
  },
  { name: 'Express behind a decoding proxy', foldsCase: true, read: (path) => withoutEnd(decode(path)) },
  {
    // nginx: decoded, slashes merged, dots followed; PHP gets what is left.
    name: 'nginx and PHP',
    foldsCase: false,
    read: (path) => merged(withoutDots(merged(decode(path)))),
  },
  {
    // WSGI servers decode everything once; APPEND_SLASH makes the slash at the end no difference.
    name: 'Django',
    foldsCase: false,
    read: (path) => withoutEnd(decode(path)),
  },
  // Werkzeug merges slashes (by a redirect) after it was decoded.
  { name: 'Flask', foldsCase: false, read: (path) => withoutEnd(merged(decode(path))) },
  // A service that does nothing to it.
  { name: 'byte for byte', foldsCase: false, read: (path) => path },
];
