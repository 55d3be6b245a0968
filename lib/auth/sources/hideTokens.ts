import { pathOf } from '../../http/path.ts';
import { takeTokens } from './queryToken.ts';

const PARAMETER = /[^?&;]+/g;

/** A target as it may be shown: the values of parameters called one of `names`, as leniently as by `takeTokens`, are `...`. */
export function hideTokens(target: string, names: readonly string[]): string {
  const path = pathOf(target);
  const hide = (parameter: string) => {
    const isToken = names.some((name) => takeTokens(`?${parameter}`, 0, name) !== undefined);
    return isToken ? `${parameter.split('=', 1)[0]}=...` : parameter;
  };
  return path + target.slice(path.length).replace(PARAMETER, hide);
}
