import type { Command, Flag } from '../../config/commandLine/flags.ts';
import { DEFAULT_REGISTRY_PORT, port } from '../flags.ts';

const { read } = port(undefined, '');

/** Undefined: the playground with the default port, if it runs, else the one started last. */
const registryPort: Flag<number | undefined> = {
  shown: String(DEFAULT_REGISTRY_PORT),
  help: `which playground; without it the one on ${DEFAULT_REGISTRY_PORT}, if that runs, else the one started last`,
  read: (name, given) => (given.length === 0 ? undefined : read(name, given)),
};

/** `npm run playground:ctl`. */
export const CONTROL_COMMAND: Command<{ registryPort: typeof registryPort }> = {
  about: 'Breaks and mends the replicas of a running playground, to watch the gateway cope.',
  usage: ['npm run playground:ctl --'],
  words: '[command]',
  flags: { registryPort },
  notes: `Commands:
  list                    what runs: name, address, process id, state. So does no command at all
  kill budgeting.2        SIGKILL: connections break off, later ones are refused
  freeze budgeting.2      SIGSTOP: connections are taken, and nothing is answered
  thaw budgeting.2        SIGCONT
  slow budgeting.2 2000   delays each answer by so many milliseconds; 0 ends it
  fail budgeting.2 500    answers every request with this status, 400 to 599; 0 ends it
  heal budgeting.2        ends slow and fail
  leave budgeting.2       a drain: it leaves the registry, answers what still comes, and stops
                          when no request has come for 1 s
  join budgeting.2        starts it again, on its port; or a new one, if there was none
  join budgeting          starts one more, with the next number and free port

slow and fail spare health checks (GET /health) and WebSockets: the replica stays healthy in the registry,
so that it is for the gateway's breaker to find out. A frozen or killed replica is unhealthy in the registry
within 7 s. Every replica looks each 3 s whether it is registered still: one that the gateway deregistered is
back in that time, under a new id and with a count of 0. One that thaws is healthy again within 5 s.`,
};
