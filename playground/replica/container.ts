import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { LOOPBACK } from '../ports.ts';

/** Where a stand-in listens: for this machine alone unless LISTEN_HOST says otherwise, as its image does. */
export function listenHost(env: NodeJS.ProcessEnv = process.env): string {
  return env.LISTEN_HOST || LOOPBACK;
}

/** The address that others reach it under: in a container the one its own name stands for. */
export async function ownAddress(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  if (listenHost(env) === LOOPBACK) return LOOPBACK;
  return (await lookup(hostname(), { family: 4 })).address;
}
