import { type FileProblem, pathText } from '../file/issues.ts';
import { upstreamUrl } from '../kinds/addresses.ts';
import { quote } from '../report/problems.ts';

/**
 * What is wrong between the upstreams of a service that are each right by themselves. One that is named
 * twice has no larger part, which is what `weight` is for, and what goes before the path at one of them does so at all.
 *
 * @param data all of a file, which may be anything
 */
export function upstreamProblems(data: unknown): FileProblem[] {
  const { services } = (data ?? {}) as { readonly services?: unknown };
  if (!Array.isArray(services)) return [];
  return services.flatMap((service, index) => {
    const given: unknown = service?.upstreams;
    if (!Array.isArray(given)) return [];
    const urls = given.map((upstream) => upstreamUrl.schema.safeParse(upstream?.url ?? upstream).data);
    return urls.flatMap((url, at) => (url === undefined ? [] : problemOf(url, at, urls, index)));
  });
}

function problemOf(
  url: string,
  at: number,
  urls: readonly (string | undefined)[],
  service: number,
): FileProblem[] {
  const first = urls.find((each) => each !== undefined) as string;
  const same = urls.indexOf(url);
  const path = ['services', service, 'upstreams', at];
  const is = `${pathText(path)} is ${quote(url)}: expected`;
  if (same < at)
    return [{ path, text: `${is} another, ${pathText([...path.slice(0, -1), same])} is the same` }];
  if (new URL(url).pathname === new URL(first).pathname) return [];
  return [{ path, text: `${is} the path of the first, ${quote(first)}` }];
}
