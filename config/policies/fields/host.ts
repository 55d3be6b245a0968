import { isIP } from 'node:net';
import type { HostRule } from '../../../lib/proxy/request/requestFields.ts';
import { host as hostName } from '../../kinds/addresses.ts';
import { kind } from '../../kinds/kinds.ts';
import { policy } from '../policy.ts';

export interface HostSettings {
  /** What `Host` says to the service. */
  readonly host: HostRule;
}

const rule = kind<HostRule>(
  'client, upstream, or a host with or without port, such as api.faf.example',
  (given) => {
    if (given === 'client' || given === 'upstream') return given;
    // It stands for nothing elsewhere, and is no host here.
    if (given === 'off') return undefined;
    const [, name = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(given) ?? [];
    const bare = /^\[(.+)\]$/.exec(name)?.[1];
    const isHost =
      bare === undefined ? hostName.schema.safeParse(name).success && isIP(name) !== 6 : isIP(bare) === 6;
    return isHost && Number(port ?? 1) <= 65_535 ? { name: given } : undefined;
  },
);

export const host = policy({
  schema: rule.schema.describe(
    'What Host says to the service: client, upstream, or a host. Default: client.',
  ),
  settings: (said): HostSettings => ({ host: said ?? 'client' }),
});
